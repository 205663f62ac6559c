import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { createLogger } from '@rkt/diagnostics/logger';
import { errorChain } from '@rkt/diagnostics/rkt-error';
import type { ImageKey } from '@rkt/spec/image-id';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';

import type { InsecureOptions, PullPolicy } from '../cli/requests.ts';
import { EMPTY_CONFIG } from '../config/config.ts';
import { TestStore } from '../store/testing/test-store.ts';
import { type Keystore, openKeystore } from '../trust/keystore.ts';
import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { type FetchContext, fetchImage, findImage } from './finder.ts';

const SECURE: InsecureOptions = {
  image: false,
  tls: false,
  onDisk: false,
  http: false,
  pubkey: false,
  capabilities: false,
  paths: false,
  seccomp: false,
};

describe('finding images', () => {
  let the: TestStore;
  let context: FetchContext;
  beforeEach(() => {
    the = new TestStore();
    the.log.length = 0;
    context = {
      store: the.store,
      treeStore: the.trees,
      config: EMPTY_CONFIG,
      insecure: { ...SECURE, image: true },
      keystore: undefined,
      logger: createLogger({ prefix: 'image', debug: true, write: (text) => the.log.push(text.trimEnd()) }),
      debug: true,
      trustKeysFromHttps: false,
      env: {},
      cwd: the.tmp.path,
      limits: DEFAULT_LIMITS,
    };
  });
  afterEach(() => the[Symbol.dispose]());
  const keystore = (): Keystore =>
    openKeystore({ systemConfig: the.tmp.join('system'), localConfig: the.tmp.join('local') });

  const fetched = (argument: string, pullPolicy: PullPolicy = 'new'): Promise<ImageKey> =>
    fetchImage(context, argument, { pullPolicy, dependencies: true });
  const found = (argument: string): Promise<ImageKey> =>
    findImage(context, argument, { pullPolicy: 'new', dependencies: false });
  async function failure(promise: Promise<unknown>): Promise<string[]> {
    const error = await promise.then(
      () => assert.fail('no failure'),
      (reason: unknown) => reason,
    );
    return errorChain(error).map(({ message }) => message);
  }

  it('by ID asks the store only', async () => {
    const key = await the.add();
    assert.equal(await found(key.slice(0, 20)), key);
    assert.deepEqual(the.log, [`image: using image from the store with hash ${key}`]);
    assert.deepEqual(await failure(found('sha512-ff')), [
      'could not resolve image "sha512-ff"',
      'no image IDs found',
    ]);
  });

  it('by name asks the store, and says when there is nothing', async () => {
    const key = await the.add({ name: 'example.com/a', version: '1' });
    assert.equal(await found('example.com/a:1'), key);
    assert.deepEqual(the.log, ['image: using image from local store for image name example.com/a:1']);
    const [message = ''] = await failure(fetched('example.com/none:2', 'never'));
    assert.match(message, /^unable to fetch image from image name "example.com\/none:2": not in the store/);
    assert.match(
      String(await failure(fetched('docker://busybox', 'never'))),
      /unable to fetch docker image from URL "docker:\/\/busybox"/,
    );
  });

  describe('in files', () => {
    it('reads them, and not again while they are the same', async () => {
      const { path: file, key } = the.write();
      utimesSync(file, 1, 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(await fetched(file), key);
      assert.deepEqual(the.log, [`image: using image from file ${file}`]);
      const { ctimeMs } = statSync(the.store.blobPath(key));
      assert.equal(await fetched(file), key);
      const after = statSync(the.store.blobPath(key));
      assert.ok(after.mtimeMs > 1_600_000_000_000 || after.ctimeMs >= ctimeMs);
      // The same size, another content.
      const other = the.write({ name: 'example.com/tesu' });
      copyFileSync(other.path, file);
      assert.equal(await fetched(file), other.key);
    });
    it('count as imported again', async () => {
      const name = 'example.com/a';
      const first = the.write({ name, version: '1' });
      await new Promise((resolve) => setTimeout(resolve, 50));
      await fetched(first.path);
      await fetched(the.write({ name, version: '2' }).path);
      await fetched(first.path);
      assert.equal(the.store.findByName(name, []), first.key);
    });
    it('that were removed from the store are read again', async () => {
      const { path: file, key } = the.write();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await fetched(file);
      the.store.remove(key);
      assert.equal(await fetched(file), key);
      assert.ok(the.store.hasKey(key));
    });
    it('by their relative path', async () => {
      const { path: file, key } = the.write();
      assert.equal(await fetched(`./${path.basename(file)}`), key);
      assert.equal(await fetched(`file://${file}`), key);
    });
    it('says what is wrong with them', async () => {
      assert.deepEqual(await failure(fetched('/nonexistent.aci')), [
        'error opening ACI file',
        'open /nonexistent.aci: no such file or directory',
      ]);
      const directory = path.join(the.data, 'cas');
      assert.match(String(await failure(fetched(`${directory}/../x.aci`))), /error opening ACI file/);
    });
    it('needs their signatures unless told otherwise', async () => {
      context = { ...context, insecure: SECURE, keystore: keystore() };
      const { path: file } = the.write();
      const signature = file.replace(/\.aci$/, '.aci.asc');
      assert.deepEqual(await failure(fetched(file)), [
        'error opening signature file',
        `open ${signature}: no such file or directory`,
      ]);
      writeFileSync(signature, 'signature');
      assert.match(String(await failure(fetched(file))), /no valid signatures found in signature file/);
      assert.deepEqual(the.store.list(), []);
    });
  });

  it('fetches dependencies breadth first, from the store where they are', async () => {
    await the.add({ name: 'example.com/b' });
    await the.add({ name: 'example.com/c', dependencies: [{ imageName: 'example.com/b' }] });
    const top = the.write({ dependencies: [{ imageName: 'example.com/c' }, { imageName: 'example.com/b' }] });
    assert.equal(await fetched(top.path), top.key);
    const names = the.log.flatMap((line) => /for image name ([^,]*)/.exec(line)?.[1] ?? []);
    assert.deepEqual(names, ['example.com/c', 'example.com/b']);
    const broken = the.write({ dependencies: [{ imageName: 'example.com/none' }] });
    assert.match(
      String(await failure(fetched(broken.path, 'never'))),
      /cannot fetch dependency "example.com\/none.*unable to fetch image/,
    );
  });

  it('makes a tree of top images only', async function () {
    if (process.getuid?.() !== 0) this.skip();
    await the.add({ name: 'example.com/b' });
    const top = the.write();
    await fetched(top.path);
    assert.deepEqual(the.trees.list(), [the.trees.idOf(top.key)]);
  });

  describe('at URLs', () => {
    let server: ImageServer;
    beforeEach(async () => {
      server = await startImageServer();
    });
    afterEach(() => server.close());
    const image = (): { bytes: Buffer; key: string } => {
      const { path: file, key } = the.write();
      return { bytes: process.getBuiltinModule('node:fs').readFileSync(file), key };
    };

    it('downloads once for the policy new, and never for never', async () => {
      const { bytes, key } = image();
      const url = server.serve('/a.aci', { body: bytes });
      assert.match(String(await failure(fetched(url, 'never'))), /unable to fetch image from URL/);
      assert.equal(await fetched(url, 'new'), key);
      assert.equal(await fetched(url, 'new'), key);
      assert.equal(await fetched(url, 'never'), key);
      assert.equal(server.requests.length, 1);
      assert.match(server.requests[0]?.headers['user-agent'] ?? '', /^rkt\/\d/);
      assert.ok(the.log.includes(`image: using image from local store for url ${url}`));
      assert.deepEqual(readdirSync(path.join(the.data, 'cas/tmp')), []);
    });
    it('asks whether it changed for the policy update', async () => {
      const { bytes, key } = image();
      const url = server.serve('/a.aci', { body: bytes, etag: 'e1' });
      assert.equal(await fetched(url, 'update'), key);
      assert.equal(await fetched(url, 'update'), key);
      assert.deepEqual(
        server.requests.map(({ status }) => status),
        [200, 304],
      );
      server.serve('/a.aci', { body: bytes, etag: 'e2', cacheControl: 1000 });
      await fetched(url, 'update');
      await fetched(url, 'update');
      assert.deepEqual(
        server.requests.map(({ status }) => status),
        [200, 304, 200],
      );
      assert.ok(the.log.some((line) => line === `image: image for ${url} isn't expired, not fetching.`));
      the.store.remove(key);
      await fetched(url, 'update');
      assert.equal(server.requests.at(-1)?.headers['if-none-match'], undefined);
    });
    it('says what the server said', async () => {
      const url = server.serve('/a.aci', { status: 401 });
      assert.deepEqual(await failure(fetched(url)), ['error downloading ACI', 'bad HTTP status code: 401']);
      const cut = server.serve('/cut.aci', { body: Buffer.alloc(100_000), cutAfter: 10_000 });
      assert.match(String(await failure(fetched(cut))), /cannot get .*cut.aci/);
      const page = server.serve('/page.aci', { body: '<html>' });
      assert.match(String(await failure(fetched(page))), /unknown image filetype/);
      const loop = server.serve('/loop.aci', { redirect: '/loop.aci' });
      assert.match(String(await failure(fetched(loop))), /too many redirects/);
      assert.equal(server.requestsOf('/loop.aci').length, 11);
      const elsewhere = server.serve('/e.aci', { redirect: 'file:///etc/passwd' });
      assert.match(String(await failure(fetched(elsewhere))), /redirects to/);
      assert.match(String(await failure(fetched('http://127.0.0.1:1/a.aci'))), /connection refused/);
      assert.deepEqual(readdirSync(path.join(the.data, 'cas/tmp')), []);
    });
    it('downloads nothing whose signature it cannot verify', async () => {
      context = { ...context, insecure: SECURE, keystore: keystore() };
      const url = server.serve('/a.aci', { body: image().bytes });
      assert.deepEqual(await failure(fetched(url)), [
        'error downloading the signature file',
        'bad HTTP status code: 404',
      ]);
      server.serve('/a.aci.asc', { body: 'signature' });
      assert.match(String(await failure(fetched(url))), /no valid signatures found in signature file/);
      assert.deepEqual(server.requestsOf('/a.aci'), []);
    });
  });

  it('refuses a file that changes while it is read', async () => {
    const { path: file } = the.write({}, [{ path: 'x', content: Buffer.alloc(3_000_000, 'x') }]);
    const reading = fetched(file);
    await Promise.resolve();
    appendFileSync(file, Buffer.alloc(512));
    const outcome = await reading.then(
      () => 'done',
      (error: unknown) => String(error),
    );
    assert.match(outcome, /changed while it was read|^done$/);
  });
});
