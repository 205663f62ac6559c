// Images over plain HTTP: caching, resuming, failing (contract stage0 4.3, 4.6, 4.9, 10.8, 11.10).

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';

import { buildAci } from '@rkt/testkit/aci-builder';
import type { ImageServer } from '@rkt/testkit/image-server';
import { startImageServer } from '@rkt/testkit/image-server';
import { imageManifest } from '@rkt/testkit/manifests';

import { list } from '../lib/cleanup.ts';
import { eventually } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const FETCH = [INSECURE, '--debug', 'fetch', '--full'];

suite('fetch over HTTP', [], () => {
  let rkt: Rkt;
  let server: ImageServer;
  const aci = buildAci({
    manifest: imageManifest({ name: 'example.com/web' }),
    files: [{ path: 'data', content: 'x'.repeat(100_000) }],
  });
  const other = buildAci({ manifest: imageManifest({ name: 'example.com/web', version: '2.0.0' }) });

  beforeEach(async () => {
    rkt = new Rkt('http');
    server = await startImageServer();
  });
  afterEach(async () => {
    await server.close();
    rkt.tmp.remove();
  });

  const fetched = async (url: string, ...flags: readonly string[]): Promise<string> =>
    (await rkt.ok([...FETCH, ...flags, url])).stdout.trim();
  const partialFile = (url: string): string =>
    `${rkt.data}/cas/tmp/sha512-${createHash('sha512').update(url).digest('hex').slice(0, 64)}`;

  /** What a killed fetch left behind. */
  const writePartial = (url: string, bytes: string | Uint8Array): void => {
    mkdirSync(`${rkt.data}/cas/tmp`, { recursive: true });
    writeFileSync(partialFile(url), bytes);
  };

  it('downloads, says who it is, and stores', async () => {
    const url = server.serve('/web.aci', { body: aci.bytes });
    const result = await rkt.ok([...FETCH, url]);
    assert.equal(result.stdout.trim(), aci.key);
    assert.ok(result.stderr.includes(`image: remote fetching from URL "${url}"`), result.stderr);
    assert.match(server.requests[0]?.headers['user-agent'] ?? '', /^rkt\/\d/);
    assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
  });
  it('shows plain lines on a pipe', async () => {
    const url = server.serve('/web.aci', { body: aci.bytes });
    const { stderr } = await rkt.ok([INSECURE, 'fetch', url]);
    assert.match(stderr, /^Downloading ACI: .*10\d KB\/10\d KB/m);
    assert.ok(!stderr.includes('\r') && !stderr.includes('\x1b'), JSON.stringify(stderr));
    const chunked = server.serve('/chunked.aci', { body: aci.bytes, chunked: true });
    assert.match(
      (await rkt.ok([INSECURE, 'fetch', chunked])).stderr,
      /^Downloading ACI: .* of an unknown total size/m,
    );
  });
  it('draws a bar on a terminal', async function () {
    requires(this, 'program:script');
    const url = server.serve('/web.aci', { body: aci.bytes });
    const result = await rkt.startOnTerminal([INSECURE, 'fetch', url]).ended;
    assert.match(result.output, /Downloading ACI: \[=+.*\] /);
  });
  it('takes the extension from the path alone', async () => {
    server.serve('/web.aci', { body: aci.bytes });
    assert.equal(await fetched(`${server.url}/web.aci?x=y`), aci.key);
  });

  describe('cache', () => {
    it('asks again with the entity tag and believes 304', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes, etag: 'tag1' });
      await fetched(url);
      assert.equal(await fetched(url), aci.key);
      assert.deepEqual(
        server.requestsOf('/web.aci').map(({ status }) => status),
        [200, 304],
      );
      server.serve('/web.aci', { body: other.bytes, etag: 'tag2' });
      assert.equal(await fetched(url), other.key);
    });
    it('asks nobody while the image is fresh', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes, etag: 'tag', cacheControl: 86_400 });
      await fetched(url);
      const { stderr } = await rkt.ok([...FETCH, url]);
      assert.ok(stderr.includes(`image for ${url} isn't expired, not fetching.`), stderr);
      assert.equal(server.requests.length, 1);
    });
    for (const header of [
      'no-cache',
      'max-age=100, no-store',
      'max-age=0',
      'max-age=-5',
      'max-age=soon',
      'MAX-AGE=100,no-cache',
    ]) {
      it(`asks again behind ${header}`, async () => {
        const url = server.serve('/web.aci', { body: aci.bytes, etag: 'tag', cacheControl: header });
        await fetched(url);
        await fetched(url);
        assert.equal(server.requests.length, 2);
      });
    }
    it('is forgotten with the image', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes, etag: 'tag', cacheControl: 86_400 });
      await fetched(url);
      await rkt.ok(['image', 'rm', aci.key]);
      await fetched(url);
      assert.equal(server.requests.at(-1)?.headers['if-none-match'], undefined);
    });
  });

  describe('pull policy', () => {
    it('never asks nobody', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes });
      await rkt.fails([...FETCH, '--pull-policy=never', url], /unable to fetch.* image from .* "http/);
      assert.equal(server.requests.length, 0);
      await fetched(url);
      assert.equal(await fetched(url, '--pull-policy=never'), aci.key);
      assert.equal(await fetched(url, '--store-only'), aci.key);
      assert.equal(server.requests.length, 1);
    });
    it('new takes what is there', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes });
      await fetched(url, '--pull-policy=new');
      const { stderr } = await rkt.ok([...FETCH, '--pull-policy=new', url]);
      assert.ok(stderr.includes(`image: using image from local store for url ${url}`), stderr);
      assert.equal(server.requests.length, 1);
    });
    it('update is the default and asks always', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes });
      await fetched(url);
      await fetched(url, '--no-store');
      assert.equal(server.requests.length, 2);
    });
  });

  describe('failures', () => {
    for (const status of [202, 400, 401, 403, 404, 429, 500, 503]) {
      it(`names status ${status}`, async () => {
        const url = server.serve('/web.aci', { status, body: 'x'.repeat(100) });
        await rkt.fails([INSECURE, 'fetch', url], `bad HTTP status code: ${status}`);
      });
    }
    it('refuses a body that ends early and keeps nothing of the image', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes, cutAfter: 5000 });
      await rkt.fails([INSECURE, 'fetch', url], /^fetch: /m);
      assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout, '\n');
      server.serve('/web.aci', { body: aci.bytes });
      assert.equal(await fetched(url), aci.key);
    });
    it('refuses what is no image', async () => {
      await rkt.fails(
        [INSECURE, 'fetch', server.serve('/a.aci', { body: '<html>hello</html>' })],
        /^fetch: /m,
      );
      await rkt.fails([INSECURE, 'fetch', server.serve('/b.aci', { body: '' })], /^fetch: /m);
      await rkt.fails([INSECURE, 'fetch', server.serve('/c.aci', { body: Buffer.alloc(5000) })], /^fetch: /m);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
    });
    it('says when nobody listens', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes });
      await server.close();
      const result = await rkt.fails([INSECURE, 'fetch', url], /^fetch: /m);
      assert.match(result.stderr, /ECONNREFUSED|connection refused/i);
    });
  });

  describe('redirects', () => {
    it('are followed, ten of them', async () => {
      server.serve('/web.aci', { body: aci.bytes });
      for (let index = 10; index >= 1; index -= 1) {
        server.serve(`/r${index}.aci`, { redirect: index === 1 ? '/web.aci' : `/r${index - 1}.aci` });
      }
      assert.equal(await fetched(`${server.url}/r10.aci`), aci.key);
      server.serve('/r11.aci', { redirect: '/r10.aci' });
      await rkt.fails([INSECURE, 'fetch', `${server.url}/r11.aci`], 'too many redirects');
    });
    it('in a circle end', async () => {
      const url = server.serve('/loop.aci', { redirect: '/loop.aci' });
      await rkt.fails([INSECURE, 'fetch', url], 'too many redirects');
      assert.ok(server.requests.length <= 12);
    });
    it('to other schemes are refused', async () => {
      const url = server.serve('/web.aci', { redirect: 'file:///etc/passwd' });
      await rkt.fails([INSECURE, 'fetch', url], /^fetch: /m);
    });
  });

  describe('resuming', () => {
    const OLD = 'Mon, 02 Jan 2006 15:04:05 MST';

    it('asks for the rest and appends what it gets, with 206 or 200', async () => {
      for (const ranges of ['partial', 'ok'] as const) {
        const url = server.serve(`/${ranges}.aci`, { body: aci.bytes, ranges, lastModified: OLD });
        writePartial(url, aci.bytes.subarray(0, 60_000));
        assert.equal(await fetched(url), aci.key);
        const [head, get] = server.requestsOf(`/${ranges}.aci`);
        assert.equal(head?.method, 'HEAD');
        assert.equal(get?.headers.range, 'bytes=60000-');
      }
    });
    it('starts over when the server cannot or the image is newer', async () => {
      const cases = [
        [{}, 'cannot use cached partial download, range request unsupported.'],
        [
          { ranges: 'partial', lastModified: 'Mon, 02 Jan 2199 15:04:05 UTC' },
          'cannot use cached partial download, resource updated.',
        ],
        [{ ranges: 'partial' }, 'cannot use cached partial download, resource updated.'],
        [{ ranges: 'partial', lastModified: OLD, noHead: true }, ''],
      ] as const;
      for (const [index, [resource, message]] of cases.entries()) {
        const url = server.serve(`/${index}.aci`, { body: aci.bytes, ...resource });
        writePartial(url, 'something else');
        const result = await rkt.ok([...FETCH, url]);
        assert.equal(result.stdout.trim(), aci.key);
        assert.ok(result.stderr.includes(message), result.stderr);
      }
    });
    it('continues where a killed fetch stopped', async () => {
      const body = { body: aci.bytes, ranges: 'partial', lastModified: OLD } as const;
      const url = server.serve('/slow.aci', { ...body, bytesPerSecond: 40_000 });
      const running = rkt.start([INSECURE, 'fetch', url]);
      await eventually('some bytes are there', () => list(`${rkt.data}/cas/tmp`).length > 0);
      await running.waitFor(/Downloading ACI: /);
      running.kill('SIGKILL');
      await running.ended;
      server.serve('/slow.aci', body);
      assert.equal(await fetched(url), aci.key);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
    });
    it('starts over when the kept part is longer than the image', async () => {
      const url = server.serve('/web.aci', { body: aci.bytes });
      writePartial(url, Buffer.alloc(200_000));
      assert.equal(await fetched(url), aci.key);
    });
  });

  it('is done once by two processes at the same time', async () => {
    const url = server.serve('/web.aci', {
      body: aci.bytes,
      bytesPerSecond: 100_000,
      etag: 'tag',
      cacheControl: 1000,
    });
    const both = [rkt.start([...FETCH, url]), rkt.start([...FETCH, url])];
    const results = await Promise.all(both.map(({ ended }) => ended));
    for (const result of results) {
      assert.equal(result.status, 0, result.output);
      assert.equal(result.stdout.trim(), aci.key);
    }
    assert.ok(
      results.some(({ stderr }) =>
        stderr.includes('another rkt instance is downloading this file, waiting...'),
      ),
    );
  });

  it('shows no credentials of the address', async () => {
    const url = server.serve('/web.aci', { status: 404 }).replace('http://', 'http://user:secret@');
    const result = await rkt.run([INSECURE, '--debug', 'fetch', url]);
    assert.notEqual(result.status, 0);
    assert.ok(!result.output.includes('secret'), result.output);
  });
});
