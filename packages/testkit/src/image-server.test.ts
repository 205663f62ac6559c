// The server misbehaves exactly as asked.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { get } from 'node:https';

import type { ImageServer } from './image-server.ts';
import { startImageServer } from './image-server.ts';

describe('startImageServer', () => {
  let server: ImageServer;
  before(async () => {
    server = await startImageServer();
  });
  after(() => server.close());

  it('knows entity tags and ages', async () => {
    const url = server.serve('/a.aci', { body: 'abc', etag: 'tag', cacheControl: 60 });
    const first = await fetch(url);
    assert.equal(await first.text(), 'abc');
    assert.equal(first.headers.get('cache-control'), 'max-age=60');
    const second = await fetch(url, { headers: { 'If-None-Match': 'tag' } });
    assert.equal(second.status, 304);
    assert.deepEqual(
      server.requestsOf('/a.aci').map(({ status }) => status),
      [200, 304],
    );
  });
  it('answers ranges in each way', async () => {
    const headers = { Range: 'bytes=2-' };
    for (const [ranges, status, text] of [
      ['partial', 206, 'c'],
      ['ok', 200, 'c'],
      ['whole', 200, 'abc'],
    ] as const) {
      const response = await fetch(server.serve('/r', { body: 'abc', ranges }), { headers });
      assert.equal(response.status, status);
      assert.equal(await response.text(), text);
    }
    const head = await fetch(server.serve('/h', { body: 'abc', noHead: true }), { method: 'HEAD' });
    assert.equal(head.status, 405);
  });
  it('asks for credentials, redirects and defers', async () => {
    const url = server.serve('/auth', { authorization: 'Basic x', body: 'in' });
    assert.equal((await fetch(url)).status, 401);
    assert.equal(await (await fetch(url, { headers: { Authorization: 'Basic x' } })).text(), 'in');
    server.serve('/later', { defer: 1, body: 'now' });
    const away = server.serve('/away', { redirect: '/later' });
    assert.equal((await fetch(away)).status, 202);
    assert.equal(await (await fetch(away)).text(), 'now');
    const sig = server.serve('/x.asc', { defer: '/later2', body: 'sig' });
    assert.equal((await fetch(sig)).status, 202);
    await fetch(server.serve('/later2', {}));
    assert.equal((await fetch(sig)).status, 200);
    assert.equal((await fetch(`${server.url}/nothing`)).status, 404);
  });
  it('cuts and crawls', async () => {
    const cut = await fetch(server.serve('/cut', { body: 'abcdef', cutAfter: 3 }));
    await assert.rejects(cut.text());
    const start = performance.now();
    const slow = await fetch(
      server.serve('/slow', { body: 'x'.repeat(100), bytesPerSecond: 500, chunked: true, delayMs: 20 }),
    );
    assert.equal((await slow.text()).length, 100);
    assert.ok(performance.now() - start > 150);
  });
});

describe('startImageServer with TLS', () => {
  it('shows a certificate for localhost that nobody signed', async function () {
    if (spawnSync('openssl', ['version']).status !== 0) this.skip();
    await using server = await startImageServer({ tls: true });
    server.serve('/a', { body: 'abc' });
    const fetchWith = (ca: string | undefined): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get(`${server.url}/a`, { ...(ca === undefined ? {} : { ca }), agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      });
    assert.equal(await fetchWith(server.certificate), 200);
    await assert.rejects(fetchWith(undefined), /self-signed/);
  });
});
