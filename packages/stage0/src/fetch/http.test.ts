// Requests against real servers on loopback, good and bad (contract stage0 4.6, 2.4; hostile peers).

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { type Authority, makeAuthority } from '@rkt/testkit/authority';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';

import { type HttpOptions, httpRequest, readBody } from './http.ts';
import { CookieJar } from './cookies.ts';

const PLAIN: HttpOptions = { insecureTls: false, login: {}, env: {} };

async function get(url: string, options: Partial<HttpOptions> = {}): Promise<string> {
  const response = await httpRequest(new URL(url), { ...PLAIN, ...options });
  return (await readBody(response, new URL(url), 100_000)).toString();
}

describe('httpRequest', () => {
  let server: ImageServer;
  beforeEach(async () => {
    server = await startImageServer();
  });
  afterEach(() => server.close());

  it('asks for bytes as they are', async () => {
    assert.equal(await get(server.serve('/a', { body: 'text' })), 'text');
    const { headers } = server.requests[0] ?? {};
    assert.match(headers?.['user-agent'] ?? '', /^rkt\/\d/);
    assert.equal(headers?.['accept-encoding'], 'identity');
  });

  it('logs in at the first server only', async () => {
    const login = { Authorization: 'Basic x', 'X-Amz-Date': 'now' };
    server.serve('/b', { body: 'b' });
    await get(server.serve('/a', { redirect: '/b' }), { login });
    const [first, second] = server.requests;
    assert.equal(first?.headers.authorization, 'Basic x');
    assert.equal(second?.headers.authorization, undefined);
    assert.equal(second?.headers['x-amz-date'], undefined);
  });
  it('signs the method it uses', async () => {
    const login = (method: string): Record<string, string> => ({ Authorization: method });
    const url = new URL(server.serve('/a', { body: 'a' }));
    (await httpRequest(url, { ...PLAIN, login, method: 'HEAD' })).body.destroy();
    assert.equal(server.requests[0]?.headers.authorization, 'HEAD');
  });

  it('carries cookies across redirects and requests', async () => {
    server.serve('/b', { body: 'b', cookie: 'session=1' });
    const cookies = new CookieJar();
    const url = server.serve('/a', {
      redirect: '/b',
      setCookie: ['session=1; Path=/', 'other=2; Domain=com'],
    });
    assert.equal(await get(url, { cookies }), 'b');
    assert.equal(await get(`${server.url}/b`, { cookies }), 'b');
    assert.equal((await httpRequest(new URL(`${server.url}/b`), PLAIN)).status, 403);
  });

  describe('gives up', () => {
    const fails = (url: string, message: RegExp, options: Partial<HttpOptions> = {}): Promise<void> =>
      assert.rejects(get(url, options), { message });

    it('on a server that does not answer', async () => {
      const url = server.serve('/a', { silent: true });
      await fails(url, /^cannot get http:\/\/127\.0\.0\.1:\d+\/a: no answer after 0\.1 s$/, {
        times: { answerMs: 100 },
      });
    });
    it('on a server that does not finish the handshake', async () => {
      await fails(server.url.replace('http', 'https'), /does not speak TLS/);
    });
    it('on a body that stalls, or crawls', async () => {
      const times = { paceMs: 100, minBytes: 50 };
      const stalled = server.serve('/a', { body: 'x'.repeat(1000), stallAfter: 10 });
      await fails(stalled, /stalled, \d+ bytes in 0\.1 s$/, { times });
      const slow = server.serve('/b', { body: 'x'.repeat(1000), bytesPerSecond: 100 });
      await fails(slow, /stalled/, { times });
      const steady = server.serve('/c', { body: 'x'.repeat(1000), bytesPerSecond: 4000 });
      assert.equal((await get(steady, { times })).length, 1000);
    });
    it('on nobody else when the reader is slow', async () => {
      const url = new URL(server.serve('/a', { body: 'x'.repeat(90_000) }));
      const response = await httpRequest(url, { ...PLAIN, times: { paceMs: 20, minBytes: 50 } });
      await sleep(200);
      assert.equal((await readBody(response, url, 100_000)).length, 90_000);
    });
    it('on bodies that are too large or have no end', async () => {
      await fails(server.serve('/a', { body: 'x'.repeat(100_001) }), /\/a is larger than 100000 bytes$/);
      await fails(
        server.serve('/b', { body: 'x'.repeat(1000), endless: true }),
        /\/b is larger than 100000 bytes$/,
      );
    });
    it('on bodies that end early', async () => {
      await fails(server.serve('/a', { body: 'x'.repeat(1000), cutAfter: 10 }), /cannot get .*\/a: /);
    });
    it('on what is no HTTP', async () => {
      await fails(server.serve('/a', { raw: 'SSH-2.0-OpenSSH\r\n' }), /cannot get .*\/a: /);
      await fails(server.serve('/b', { raw: '' }), /cannot get .*\/b: connection closed by the server$/);
      const header = `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\n`;
      await fails(server.serve('/c', { raw: header }), /cannot get .*\/c: /);
    });
    it('when it is told to', async () => {
      const controller = new AbortController();
      const asked = get(server.serve('/a', { silent: true }), { signal: controller.signal });
      setTimeout(() => controller.abort(), 20);
      await assert.rejects(asked, { code: 'cancelled' });
      const body = await httpRequest(new URL(server.serve('/b', { body: 'x'.repeat(100), stallAfter: 1 })), {
        ...PLAIN,
        signal: AbortSignal.timeout(50),
      });
      await assert.rejects(readBody(body, new URL(server.url), 100));
    });
  });

  describe('over TLS', () => {
    let authority: Authority;
    const servers: ImageServer[] = [];
    before(() => {
      authority = makeAuthority();
    });
    after(() => authority[Symbol.dispose]());
    afterEach(() => Promise.all(servers.splice(0).map((each) => each.close())));

    const secure = async (options: Parameters<typeof startImageServer>[0]): Promise<string> => {
      const each = await startImageServer(options);
      servers.push(each);
      return each.serve('/a', { body: 'secret' });
    };
    const trusting = (): Partial<HttpOptions> => ({
      env: { SSL_CERT_FILE: authority.file, SSL_CERT_DIR: '/none' },
    });

    it('believes the authorities of the host, and only them', async () => {
      const url = await secure({ tls: authority.issue({ names: ['127.0.0.1'] }) });
      assert.equal(await get(url, trusting()), 'secret');
      await assert.rejects(get(url), {
        message:
          /^cannot get https:\/\/127\.0\.0\.1:\d+\/a: the certificate is signed by an unknown authority$/,
        hint: /SSL_CERT_FILE.*--insecure-options=tls/,
      });
      assert.equal(await get(url, { insecureTls: true }), 'secret');
    });
    for (const [what, issued, message] of [
      ['expired', { names: ['127.0.0.1'], expired: true }, /the certificate has expired$/],
      ['for another host', { names: ['example.com'] }, /the certificate is for another host$/],
      [
        'signed by itself',
        { names: ['127.0.0.1'], selfSigned: true },
        /the certificate is signed by itself$/,
      ],
    ] as const) {
      it(`refuses a certificate that is ${what}`, async () => {
        const url = await secure({ tls: authority.issue(issued) });
        await assert.rejects(get(url, trusting()), { message, code: 'network' });
        assert.equal(await get(url, { insecureTls: true }), 'secret');
      });
    }
    it('refuses old versions of TLS', async () => {
      const identity = authority.issue({ names: ['127.0.0.1'] });
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      const url = await secure({ tls: { ...identity, ...old } });
      await assert.rejects(get(url, trusting()), { message: /versions of TLS that are not safe$/ });
    });
    it('is not led back to plain http', async () => {
      const url = await secure({ tls: authority.issue({ names: ['127.0.0.1'] }) });
      const plain = server.serve('/b', { body: 'b' });
      servers[0]?.serve('/a', { redirect: plain });
      await assert.rejects(get(url, trusting()), {
        message: /redirects from https to http/,
        code: 'redirect',
      });
      assert.deepEqual(server.requests, []);
    });
  });
});
