// Transfers into the scratch directory: sizes, resuming, what is left behind (contract stage0 4.6).

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { createLogger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { casTmpDir, type DataDir, dataDir } from '@rkt/pod-layout/data-dir';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';
import { TempDir } from '@rkt/testkit/tmp';

import { download, type DownloadOptions, temporaryPath } from './download.ts';

const OLD = 'Mon, 02 Jan 2006 15:04:05 MST';

describe('download', () => {
  let tmp: TempDir;
  let data: DataDir;
  let server: ImageServer;
  let log: string[];
  beforeEach(async () => {
    tmp = new TempDir('download');
    data = dataDir(tmp.path);
    log = [];
    server = await startImageServer();
  });
  afterEach(async () => {
    await server.close();
    tmp.remove();
  });

  const text = async (url: string, options: Partial<DownloadOptions> = {}): Promise<string | undefined> => {
    const logger = createLogger({ prefix: 'image', write: (line) => log.push(line) });
    const http = { insecureTls: false, login: {}, env: {} };
    using found = await download(new URL(url), { data, logger, http, etag: '', ...options });
    return found && readFileSync(`/proc/self/fd/${found.fd}`, 'utf8');
  };
  const leave = (url: string, content: string, etag?: string): void => {
    const file = temporaryPath(data, new URL(url));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    if (etag !== undefined) writeFileSync(`${file}.etag`, etag);
  };
  const left = (): string[] => readdirSync(casTmpDir(data));

  it('gives the bytes and takes the file away', async () => {
    assert.equal(await text(server.serve('/a', { body: 'image' })), 'image');
    assert.deepEqual(left(), []);
  });
  it('gives nothing for what is still the same', async () => {
    assert.equal(await text(server.serve('/a', { body: 'image', etag: 'e' }), { etag: 'e' }), undefined);
    assert.deepEqual(left(), []);
  });
  for (const [what, resource] of [
    ['says so', { body: 'x'.repeat(2000) }],
    ['does not', { body: 'x'.repeat(2000), chunked: true }],
    ['never ends', { body: 'x'.repeat(2000), endless: true }],
  ] as const) {
    it(`refuses what is too large and ${what}`, async () => {
      await assert.rejects(text(server.serve('/a', resource), { maxBytes: 1500 }), (error) => {
        assert.ok(hasCode(error, 'too-large'), String(error));
        return true;
      });
      assert.deepEqual(left(), []);
    });
  }
  it('gives up when told to, and leaves nothing', async () => {
    const http = { insecureTls: false, login: {}, env: {}, signal: AbortSignal.timeout(100) };
    await assert.rejects(text(server.serve('/a', { body: 'x'.repeat(100), stallAfter: 10 }), { http }));
    assert.deepEqual(left(), []);
  });

  describe('of what is there in part', () => {
    const body = '0123456789';

    it('asks for the rest', async () => {
      const url = server.serve('/a', { body, ranges: 'partial', lastModified: OLD });
      leave(url, '01234');
      assert.equal(await text(url), body);
      assert.equal(server.requests.at(-1)?.headers.range, 'bytes=5-');
    });
    it('goes by the entity tag that was kept', async () => {
      const url = server.serve('/a', { body, ranges: 'partial', etag: 'e1' });
      leave(url, '01234', 'e1');
      assert.equal(await text(url), body);
      assert.equal(server.requests.at(-1)?.headers.range, 'bytes=5-');
      leave(url, 'other', 'e0');
      assert.equal(await text(url), body);
      assert.equal(server.requests.at(-1)?.headers.range, undefined);
      assert.ok(log.join('').includes('cannot use cached partial download, resource updated.'));
    });
    it('starts over when the answer may be either the rest or all', async () => {
      const url = server.serve('/a', { body, ranges: 'ok', lastModified: OLD, chunked: true });
      leave(url, '01234');
      assert.equal(await text(url), body);
      assert.equal(server.requests.at(-1)?.headers.range, undefined);
    });
    it('gives up on a server that refuses the whole as well', async () => {
      const url = server.serve('/a', {
        body,
        lastModified: OLD,
        headers: { 'Accept-Ranges': 'bytes' },
        status: 416,
      });
      leave(url, 'longer than the image');
      await assert.rejects(text(url));
      assert.deepEqual(
        server.requests.map(({ method }) => method),
        ['HEAD', 'GET'],
      );
    });
    it('refuses other bytes than it asked for', async () => {
      const url = server.serve('/a', {
        body,
        status: 206,
        lastModified: OLD,
        headers: { 'Accept-Ranges': 'bytes', 'Content-Range': 'bytes 7-9/10' },
      });
      await assert.rejects(text(url), (error) => hasCode(error, 'network'));
      assert.deepEqual(left(), []);
    });
  });
});
