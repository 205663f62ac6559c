// Signed images run without any insecure option; unsigned and wrongly signed ones are refused (contract stage0 4.5, 6.3,
// 8.8, 11.10).

import assert from 'node:assert/strict';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import { buildAci } from '@rkt/testkit/aci-builder';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';
import { imageManifest } from '@rkt/testkit/manifests';
import { STUB_MESSAGE, stubStage1 } from '@rkt/testkit/stub-stage1';

import { list } from '../lib/cleanup.ts';
import { RKT_BIN } from '../lib/environment.ts';
import { storeSuite } from '../lib/fixtures.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { shellImage, tinyImage, writeImage } from '../lib/images.ts';
import { type SigningKey, SigningKeys, trustKey } from '../lib/keys.ts';
import type { Result } from '../lib/process.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

/** What a refusal looks like: one line, one status. */
function refusal(result: Result, text: RegExp): void {
  assert.match(result.stderr, text);
  assert.deepEqual(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
  assert.equal(result.stdout, '');
}

suite('signed images run', ['root', 'busybox', 'program:gpg'], (the) => {
  let keys: SigningKeys;
  let key: SigningKey;
  before(async () => {
    keys = new SigningKeys();
    key = keys.make('Example Builder <b@example.com>', 'rsa3072');
    await trustKey(the.rkt, key, 'example.com');
  });
  after(() => keys?.[Symbol.dispose]());

  forEachFlavour([], ({ stage1, net, linesOf }) => {
    it('from a file, with its signature beside it', async () => {
      const image = shellImage(the.rkt, 'echo signed; exit 7', { name: 'example.com/signed' });
      key.signFile(image);
      const result = await the.rkt.run(['run', ...stage1, ...net, image]);
      expectStatus(result, 7);
      assert.deepEqual(
        linesOf(result).filter((line) => line === 'signed'),
        ['signed'],
      );
      assert.ok(result.output.includes('image: signature verified:'), result.output);
    });
    it('from a URL', async () => {
      await using server = await startImageServer();
      const body = readFileSync(shellImage(the.rkt, 'exit 8', { name: 'example.com/remote' }));
      server.serve('/remote.aci.asc', { body: key.sign(body) });
      const url = server.serve('/remote.aci', { body });
      expectStatus(await the.rkt.run(['run', ...stage1, ...net, url]), 8);
    });
    it('prepared first', async () => {
      const image = shellImage(the.rkt, 'exit 9', { name: 'example.com/prepared' });
      key.signFile(image);
      const { stdout } = await the.rkt.ok(['prepare', ...stage1, image]);
      expectStatus(await the.rkt.run(['run-prepared', ...net, stdout.trim()]), 9);
    });
    it('but not without, or with another signature', async () => {
      const image = shellImage(the.rkt, 'echo must not run', { name: 'example.com/refused' });
      refusal(
        await the.rkt.fails(['run', ...stage1, ...net, image], 'run: '),
        /^run: .*\.aci\.asc: no such file or directory \(.*--insecure-options=image.*\)$/m,
      );
      writeFileSync(image.replace('.aci', '.aci.asc'), key.sign(Buffer.from('another image')));
      refusal(
        await the.rkt.fails(['run', ...stage1, ...net, image], 'run: '),
        /verification failed: openpgp: signed digest/,
      );
      assert.deepEqual(the.rkt.podsIn('run'), []);
    });
  });

  describe('stage1 images', () => {
    let image: string;
    beforeEach(() => {
      image = tinyImage(the.rkt, { exec: ['/bin/x'] });
      key.signFile(image);
    });
    it('need a signature like any other', async () => {
      const stub = writeImage(the.rkt, stubStage1({ name: 'example.com/stub' }));
      await the.rkt.fails(
        ['run', '--net=none', `--stage1-path=${stub}`, image],
        '.aci.asc: no such file or directory',
      );
      key.signFile(stub);
      const result = await the.rkt.ok(['run', '--net=none', `--stage1-path=${stub}`, image]);
      assert.ok(result.stdout.includes(`${STUB_MESSAGE}\n`), result.output);
      key.signFile(image, stub.replace('.aci', '.aci.asc'));
      await the.rkt.fails(
        ['run', '--net=none', `--stage1-path=${stub}`, image],
        'signed digest did not match',
      );
    });
    it('need none in the store', async () => {
      const hash = await the.rkt.fetch(writeImage(the.rkt, stubStage1({ name: 'example.com/stored' })));
      await the.rkt.ok(['run', '--net=none', `--stage1-hash=${hash}`, image]);
      await the.rkt.ok(['run', '--net=none', '--stage1-name=example.com/stored', image]);
    });
    it('need none beside the executable: they came with it', async () => {
      const bin = the.rkt.tmp.join('bin');
      mkdirSync(bin);
      try {
        linkSync(RKT_BIN, `${bin}/rkt`);
      } catch {
        copyFileSync(RKT_BIN, `${bin}/rkt`);
      }
      renameSync(writeImage(the.rkt, stubStage1({ name: 'example.com/beside' })), `${bin}/beside.aci`);
      const args = ['run', '--net=none', `--stage1-path=${bin}/beside.aci`, image];
      expectStatus(await the.rkt.startBare([...the.rkt.directoryFlags, ...args], {}, `${bin}/rkt`).ended, 0);
      // For another rkt it is a file like any other.
      await the.rkt.fails(args, '.aci.asc: no such file or directory');
    });
  });
});

storeSuite('signatures of files', ['program:gpg'], (the) => {
  let keys: SigningKeys;
  let key: SigningKey;
  let stranger: SigningKey;
  before(() => {
    keys = new SigningKeys();
    key = keys.make('Example Builder <b@example.com>');
    stranger = keys.make('Stranger <s@example.org>');
  });
  after(() => keys?.[Symbol.dispose]());
  beforeEach(() => trustKey(the.rkt, key, 'example.com/a'));

  const nothingStored = async (): Promise<void> => {
    assert.deepEqual(await the.rows(), []);
    for (const directory of ['tmp', 'tree', 'blob/sha512', 'imageManifest/sha512'])
      assert.deepEqual(list(`${the.rkt.data}/cas/${directory}`), [], directory);
  };

  it('are verified, and who signed is told', async () => {
    const image = the.image('a');
    key.signFile(image);
    const { stderr } = await the.rkt.ok(['fetch', image]);
    assert.equal(stderr, 'image: signature verified:\n  Example Builder <b@example.com>\n');
    assert.equal((await the.rows()).length, 1);
  });
  it('may be elsewhere, and binary', async () => {
    const image = the.image('a');
    writeFileSync(the.rkt.tmp.join('signature'), key.sign(readFileSync(image), { armor: false }));
    await the.rkt.ok(['fetch', image, `--signature=${the.rkt.tmp.join('signature')}`]);
    await the.rkt.ok(['fetch', image, '--signature=signature'], { cwd: the.rkt.tmp.path });
  });
  it('are not asked for when the image need not be signed', async () => {
    await the.rkt.ok([INSECURE, 'fetch', the.image('other')]);
  });
  it('are over compressed bytes where the image is compressed', async () => {
    const manifest = imageManifest({ name: 'example.com/a' });
    const plain = buildAci({ manifest });
    const image = the.rkt.tmp.join('packed.aci');
    writeFileSync(image, buildAci({ manifest, compression: 'gzip' }).bytes);
    writeFileSync(`${image}.asc`, key.sign(plain.bytes));
    await the.rkt.fails(['fetch', image], 'signed digest did not match');
    await nothingStored();
    key.signFile(image);
    assert.equal((await the.rkt.ok(['fetch', '--full', image])).stdout.trim(), plain.key);
  });

  describe('refuse the image, and leave nothing behind', () => {
    it('when there is none', async () => {
      const image = the.image('a');
      refusal(
        await the.rkt.fails(['fetch', image], 'fetch: '),
        /^fetch: .*\.aci\.asc: no such file or directory \(.*--insecure-options=image.*\)\n$/,
      );
      await the.rkt.fails(['--debug', 'fetch', image], 'error opening signature file');
      await the.rkt.fails(
        ['--debug', 'fetch', image, '--signature=/nonexistent'],
        'error opening signature file',
      );
      await nothingStored();
    });
    it('when nobody known made it', async () => {
      const image = the.image('a');
      stranger.signFile(image);
      refusal(
        await the.rkt.fails(['fetch', image], 'fetch: '),
        /^fetch: image "example.com\/a" verification failed: openpgp: signature made by unknown entity \(key [0-9A-F]{16}: .*rkt trust --prefix "example.com\/a"\)\n$/,
      );
      await nothingStored();
    });
    it('when the key is trusted for other images only', async () => {
      const image = the.image('another');
      key.signFile(image);
      await the.rkt.fails(['fetch', image], 'openpgp: signature made by unknown entity');
      await trustKey(the.rkt, key);
      await the.rkt.ok(['fetch', image]);
    });
    it('when it is of another image', async () => {
      const [image, other] = [the.image('a'), the.image('a', '2.0.0')];
      key.signFile(other, `${image.replace(/\.aci$/, '')}.aci.asc`);
      refusal(
        await the.rkt.fails(['fetch', image], 'fetch: '),
        /^fetch: image "example.com\/a" verification failed: openpgp: signed digest did not match/,
      );
      await nothingStored();
    });
    it('when one bit of the image changed', async () => {
      const image = the.image('a');
      key.signFile(image);
      const bytes = readFileSync(image);
      const at = bytes.indexOf('tiny', bytes.indexOf('rootfs/file'));
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(image, bytes);
      await the.rkt.fails(['fetch', image], 'signed digest did not match');
      await nothingStored();
    });
    it('when only padding was added', async () => {
      const image = the.image('a');
      key.signFile(image);
      writeFileSync(image, Buffer.concat([readFileSync(image), Buffer.alloc(1024)]));
      await the.rkt.fails(['fetch', image], 'signed digest did not match');
      await nothingStored();
    });
    it('when the file is empty, is no signature, or holds the image itself', async () => {
      const image = the.image('a');
      const signature = image.replace(/\.aci$/, '.aci.asc');
      for (const content of [
        '',
        'junk',
        key.sign(readFileSync(image), { form: 'inline' }),
        key.sign(Buffer.from('text'), { form: 'clear' }),
      ]) {
        writeFileSync(signature, content);
        refusal(
          await the.rkt.fails(['fetch', image], 'fetch: '),
          /^fetch: keystore: no valid signatures found in signature file.*gpg --armor --detach-sign\)\n$/,
        );
      }
      await nothingStored();
    });
    it('when the key is masked, or its file is not safe', async () => {
      const image = the.image('a');
      key.signFile(image);
      const file = `${the.rkt.localConfig}/trustedkeys/prefix.d/example.com/a/${key.fingerprint}`;
      const { mode } = statSync(file);
      writeFileSync(file, '');
      await the.rkt.fails(['fetch', image], 'signature made by unknown entity');
      writeFileSync(file, stranger.publicKey);
      await the.rkt.fails(
        ['fetch', image],
        `fingerprint mismatch: "${key.fingerprint}":"${stranger.fingerprint}"`,
      );
      writeFileSync(file, key.publicKey, { mode });
      await the.rkt.ok(['fetch', image]);
    });
  });

  it('count again when the image is known already', async () => {
    const image = the.image('a');
    await the.rkt.ok([INSECURE, 'fetch', image]);
    await the.rkt.fails(['fetch', image], 'no such file or directory');
    stranger.signFile(image);
    await the.rkt.fails(['fetch', image], 'signature made by unknown entity');
    key.signFile(image);
    assert.match((await the.rkt.ok(['fetch', image])).stderr, /^image: signature verified:/);
    rmSync(`${the.rkt.localConfig}/trustedkeys`, { recursive: true });
    await the.rkt.fails(['fetch', image], 'signature made by unknown entity');
  });
});

storeSuite('signatures over HTTP', ['program:gpg'], (the) => {
  let keys: SigningKeys;
  let key: SigningKey;
  let server: ImageServer;
  const { bytes, key: imageKey } = buildAci({
    manifest: imageManifest({ name: 'example.com/web' }),
    files: [{ path: 'data', content: 'x'.repeat(10_000) }],
    compression: 'gzip',
  });
  before(() => {
    keys = new SigningKeys();
    key = keys.make('Example Builder <b@example.com>');
  });
  after(() => keys?.[Symbol.dispose]());
  beforeEach(async () => {
    await trustKey(the.rkt, key, 'example.com');
    server = await startImageServer();
  });
  afterEach(() => server.close());

  const asked = (): string[] =>
    server.requests.map(({ method, url, status }) => `${method} ${url} ${status}`);
  const serveSigned = (): string => {
    server.serve('/web.aci.asc', { body: key.sign(bytes) });
    return server.serve('/web.aci', { body: bytes });
  };

  it('come before the image', async () => {
    const url = serveSigned();
    const { stdout, stderr } = await the.rkt.ok(['--debug', 'fetch', '--full', url]);
    assert.equal(stdout.trim(), imageKey);
    assert.deepEqual(asked(), ['GET /web.aci.asc 200', 'GET /web.aci 200']);
    assert.ok(stderr.includes(`image: downloading signature from ${url}.asc`), stderr);
    assert.ok(stderr.includes('image: signature verified:\n  Example Builder <b@example.com>\n'), stderr);
  });
  it('are needed: without one the image is not even asked for', async () => {
    const url = server.serve('/web.aci', { body: bytes });
    refusal(
      await the.rkt.fails(['fetch', url], 'fetch: '),
      /^fetch: bad HTTP status code: 404 \(.*--insecure-options=image.*\)\n$/,
    );
    await the.rkt.fails(['--debug', 'fetch', url], 'error downloading the signature file');
    assert.deepEqual(new Set(asked()), new Set(['GET /web.aci.asc 404']));
    server.serve('/web.aci.asc', { body: 'x', authorization: 'Basic nobody' });
    await the.rkt.fails(['fetch', url], 'bad HTTP status code: 401');
    assert.deepEqual(await the.rows(), []);
  });
  it('may be replaced by a file', async () => {
    const url = server.serve('/web.aci', { body: bytes });
    writeFileSync(the.rkt.tmp.join('web.asc'), key.sign(bytes));
    await the.rkt.ok(['fetch', url, `--signature=${the.rkt.tmp.join('web.asc')}`]);
    assert.deepEqual(asked(), ['GET /web.aci 200']);
    await the.rkt.fails(
      ['--debug', 'fetch', url, '--signature=/nonexistent'],
      'error opening signature file',
    );
  });
  it('that are bad keep the image out, and no part of it stays', async () => {
    const url = serveSigned();
    server.serve('/web.aci.asc', { body: key.sign(Buffer.from('other')) });
    await the.rkt.fails(
      ['fetch', url],
      'image "example.com/web" verification failed: openpgp: signed digest did not match',
    );
    assert.deepEqual(await the.rows(), []);
    for (const directory of ['tmp', 'tree', 'blob/sha512'])
      assert.deepEqual(list(`${the.rkt.data}/cas/${directory}`), []);
  });
  it('that are no signatures are refused before the image is asked for', async () => {
    const url = serveSigned();
    server.serve('/web.aci.asc', { body: '<html>not found</html>' });
    await the.rkt.fails(['fetch', url], 'keystore: no valid signatures found in signature file');
    server.serve('/web.aci.asc', { body: Buffer.alloc(2 * 1024 * 1024) });
    await the.rkt.fails(['fetch', url], 'is larger than');
    assert.deepEqual(asked(), ['GET /web.aci.asc 200', 'GET /web.aci.asc 200']);
  });
  it('may be deferred until the image was downloaded', async () => {
    server.serve('/web.aci.asc', { body: key.sign(bytes), defer: '/web.aci' });
    const url = server.serve('/web.aci', { body: bytes });
    const { stderr } = await the.rkt.ok(['fetch', url]);
    assert.ok(stderr.includes('image: server requested deferring the signature download\n'), stderr);
    assert.deepEqual(asked(), ['GET /web.aci.asc 202', 'GET /web.aci 200', 'GET /web.aci.asc 200']);
  });
  it('may not be deferred twice', async () => {
    server.serve('/web.aci.asc', { body: key.sign(bytes), defer: 10 });
    const url = server.serve('/web.aci', { body: bytes });
    await the.rkt.fails(['fetch', url], 'fetch: the server defers the signature again');
    await the.rkt.fails(['--debug', 'fetch', url], 'error downloading the signature file');
    assert.deepEqual(await the.rows(), []);
  });
  it('are asked for again with an image that may have changed, and count when it has', async () => {
    server.serve('/web.aci.asc', { body: key.sign(bytes) });
    const url = server.serve('/web.aci', { body: bytes, etag: 'one' });
    await the.rkt.ok(['fetch', url]);
    const before = server.requests.length;
    await the.rkt.ok(['fetch', url]);
    assert.deepEqual(asked().slice(before), ['GET /web.aci.asc 200', 'GET /web.aci 304']);
    const evil = buildAci({ manifest: imageManifest({ name: 'example.com/web', version: '6.6.6' }) });
    server.serve('/web.aci', { body: evil.bytes, etag: 'two' });
    await the.rkt.fails(['fetch', url], 'signed digest did not match');
    assert.deepEqual((await the.rows()).length, 1);
    assert.equal((await the.rkt.ok(['fetch', '--pull-policy=new', '--full', url])).stdout.trim(), imageKey);
  });
  it('are verified over TLS that is not, which is told', async () => {
    await using tls = await startImageServer({ tls: true });
    tls.serve('/web.aci.asc', { body: key.sign(bytes) });
    const url = tls.serve('/web.aci', { body: bytes });
    await the.rkt.fails(['fetch', url], /certificate/);
    const { stderr } = await the.rkt.ok(['--insecure-options=tls', 'fetch', url]);
    assert.ok(stderr.includes('image: warning: TLS verification has been disabled\n'), stderr);
    const without = await the.rkt.ok(['--insecure-options=tls,image', 'fetch', url]);
    assert.ok(!without.stderr.includes('warning: TLS'), without.stderr);
  });
});
