// Key discovery: which pages are asked, and which keys are not (contract stage0 4.7, 6.4). Pages come from a proxy, as
// the ports of discovery are fixed.

import assert from 'node:assert/strict';

import { createLogger } from '@rkt/diagnostics/logger';
import { GpgHome } from '@rkt/testkit/gpg-keys';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';
import { TempDir } from '@rkt/testkit/tmp';

import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { SECURE } from '../cli/flags/insecure.ts';
import type { InsecureOptions } from '../cli/requests.ts';
import { EMPTY_CONFIG } from '../config/config.ts';
import type { FetchContext } from '../fetch/context.ts';
import type { PageTerms } from '../fetch/discover.ts';
import { TestStore } from '../store/testing/test-store.ts';
import { addKey } from './add-key.ts';
import { discoverKeys, ensureKeys } from './discover-keys.ts';
import { type Keystore, openKeystore } from './keystore.ts';

function prefixesIn(text: string): string[] {
  return [...text.matchAll(/'ac-discovery-pubkeys' not found on (\S+?):?$/gm)].map(
    ([, prefix = '']) => prefix,
  );
}

describe('key discovery', () => {
  let proxy: ImageServer;
  let tried: string[];
  let terms: PageTerms;
  beforeEach(async () => {
    proxy = await startImageServer();
    tried = [];
    terms = {
      insecureTls: false,
      allowHttp: true,
      auth: new Map(),
      env: { http_proxy: proxy.url, https_proxy: proxy.url },
      debug: createLogger({ prefix: 'image', debug: true, write: (text) => tried.push(...prefixesIn(text)) }),
    };
  });
  afterEach(() => proxy.close());

  const page = (prefix: string, ...tags: readonly string[]): void => {
    const body = tags.map((content) => `<meta name="ac-discovery-pubkeys" content="${content}">`).join('\n');
    proxy.serve(`http://${prefix}`, { body: `<html><head>${body}</head></html>` });
  };
  const asked = (): string[] => proxy.requests.map(({ url }) => url);

  it('asks from the whole name up, until a page has keys', async () => {
    page('example.com/a/b', 'example.com/other https://example.com/no.asc', 'example.com');
    page('example.com/a', 'example.com/a https://example.com/1.asc', 'example.com http://example.com/2.asc');
    page('example.com/', 'example.com https://example.com/never.asc');
    assert.deepEqual(await discoverKeys('example.com/a/b', terms), [
      'https://example.com/1.asc',
      'http://example.com/2.asc',
    ]);
    assert.deepEqual(asked(), [
      'http://example.com/a/b?ac-discovery=1',
      'http://example.com/a?ac-discovery=1',
    ]);
    assert.deepEqual(tried, ['example.com/a/b']);
  });
  it('says when there are none', async () => {
    await assert.rejects(discoverKeys('example.com/a', terms), {
      message: 'meta discovery on example.com/a resulted in no keys',
    });
    assert.deepEqual(tried, ['example.com/a', 'example.com']);
    await assert.rejects(discoverKeys('', terms), { message: 'empty prefix' });
  });
  it('asks over plain http only when that is allowed', async () => {
    page('example.com/', 'example.com https://example.com/1.asc');
    await assert.rejects(discoverKeys('example.com', { ...terms, allowHttp: false }));
    assert.deepEqual(asked(), []);
  });

  describe('before an image is fetched', () => {
    let the: TestStore;
    let tmp: TempDir;
    let said: string[];
    beforeEach(() => {
      the = new TestStore();
      tmp = new TempDir('keys');
      said = [];
    });
    afterEach(() => {
      the[Symbol.dispose]();
      tmp.remove();
    });
    const context = (insecure: Partial<InsecureOptions>, trustKeysFromHttps = false): FetchContext => ({
      store: the.store,
      treeStore: the.trees,
      config: EMPTY_CONFIG,
      insecure: { ...SECURE, ...insecure },
      keystore: openKeystore({ systemConfig: tmp.join('system'), localConfig: tmp.join('local') }),
      logger: createLogger({ prefix: 'image', write: (text) => said.push(text.trimEnd()) }),
      debug: false,
      trustKeysFromHttps,
      env: terms.env,
      cwd: tmp.path,
      limits: DEFAULT_LIMITS,
    });

    it('keys that are there are not fetched again', async () => {
      const there = context({ pubkey: true, http: true });
      addKey(there.keystore as Keystore, 'example.com', 'a'.repeat(40), Buffer.from('key'));
      await ensureKeys(there, 'example.com/a');
      assert.deepEqual(said, ['image: keys already exist for prefix "example.com/a", not fetching again']);
      assert.deepEqual(asked(), []);
    });
    it('a failure is told and is no error', async () => {
      await ensureKeys(context({}), 'example.com/a');
      assert.equal(said.length, 1);
      assert.match(
        said[0] ?? '',
        /^image: no signing keys fetched for "example.com\/a": .* resulted in no keys$/,
      );
    });
    it('nobody is asked when servers cannot be told apart', async () => {
      await ensureKeys(context({ tls: true, http: true }), 'example.com/a');
      assert.deepEqual([said, asked()], [[], []]);
    });
    it('nobody is asked when no signatures are verified', async () => {
      await ensureKeys(
        { ...context({ image: true, pubkey: true, http: true }), keystore: undefined },
        'example.com/a',
      );
      assert.deepEqual([said, asked()], [[], []]);
    });
    it('keys from https are trusted when that was asked for, once for images that come at the same time', async () => {
      using gpg = new GpgHome();
      const key = gpg.makeKey('Builder <b@example.com>');
      await using tls = await startImageServer({ tls: true });
      page('example.com/', `example.com ${tls.serve('/key.asc', { body: gpg.exportKey(key) })}`);
      terms = { ...terms, env: { ...terms.env, no_proxy: '127.0.0.1' } };
      const asking = context({ tls: true, pubkey: true, http: true }, true);
      await Promise.all([ensureKeys(asking, 'example.com'), ensureKeys(asking, 'example.com/a')]);
      const [found, ...others] = asking.keystore?.keyFilesFor('example.com/a') ?? [];
      assert.deepEqual([found?.fingerprint, others], [key.toLowerCase(), []]);
      assert.equal(tls.requests.length, 1);
      assert.equal(said.at(-1), 'image: keys already exist for prefix "example.com/a", not fetching again');
    });
    it('plain http needs both options, and is told', async () => {
      page('example.com/', 'example.com http://example.com/key.asc');
      await ensureKeys(context({ pubkey: true }), 'example.com');
      await ensureKeys(context({ http: true }), 'example.com');
      assert.deepEqual(asked(), []);
      said.length = 0;
      await ensureKeys(context({ pubkey: true, http: true }), 'example.com');
      assert.equal(said[0], 'image: signing keys may be downloaded from an insecure connection');
      assert.deepEqual(asked().slice(0, 2), [
        'http://example.com/?ac-discovery=1',
        'http://example.com/key.asc',
      ]);
    });
  });
});
