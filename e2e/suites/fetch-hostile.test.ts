// Servers that mean no good, and what their images may cost: a clear refusal that names the host, nothing kept, no
// secret told (contract stage0 4.6; redirects, bodies, TLS).

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

import { buildAci } from '@rkt/testkit/aci-builder';
import { type Authority, makeAuthority } from '@rkt/testkit/authority';
import { type ImageServer, type Resource, startImageServer } from '@rkt/testkit/image-server';
import { imageManifest } from '@rkt/testkit/manifests';

import { eventually, type Result, type StartOptions } from '../lib/process.ts';
import { skip } from '../lib/requires.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('hostile image servers', ['program:openssl'], () => {
  let rkt: Rkt;
  let server: ImageServer;
  const aci = buildAci({
    manifest: imageManifest({ name: 'example.com/web' }),
    files: [{ path: 'data', content: randomBytes(100_000) }],
  });
  beforeEach(async () => {
    rkt = new Rkt('hostile-http');
    server = await startImageServer();
  });
  afterEach(async () => {
    await server.close();
    rkt.tmp.remove();
  });

  const refused = async (url: string, text: string | RegExp, options: StartOptions = {}): Promise<Result> => {
    const result = await rkt.run([INSECURE, 'fetch', url], options);
    assert.equal(result.status, 254, result.output);
    assert.ok(
      typeof text === 'string' ? result.stderr.includes(text) : text.test(result.stderr),
      result.stderr,
    );
    assert.ok(!result.stderr.includes('\u001B') && !result.stderr.includes('    at '), result.stderr);
    assert.equal(result.stderr.match(/^fetch: /gm)?.length, 1, result.stderr);
    assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
    assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout.trim(), '');
    return result;
  };

  describe('send bodies', () => {
    const bodies: readonly (readonly [what: string, resource: Resource, text: string | RegExp])[] = [
      ['shorter than promised', { body: aci.bytes, cutAfter: 50_000 }, /127\.0\.0\.1:\d+\/web\.aci/],
      [
        'longer than promised',
        { raw: `HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n${'x'.repeat(100_000)}` },
        /fetch: /,
      ],
      [
        'that are a page',
        { body: '<html>not found</html>', contentType: 'text/html' },
        /unknown image filetype/,
      ],
      ['that are a large page with an error', { status: 500, body: 'x'.repeat(5_000_000) }, 'code: 500'],
      [
        'of a size that is none',
        { raw: 'HTTP/1.1 200 OK\r\nContent-Length: 1e9\r\n\r\nx' },
        /cannot get .*web\.aci/,
      ],
      [
        'of a size that nobody has room for',
        { raw: 'HTTP/1.1 200 OK\r\nContent-Length: 900000000000000\r\n\r\nx' },
        /web\.aci is larger than 68\.7 GB/,
      ],
      ['of no HTTP', { raw: `SSH-2.0-OpenSSH\u001B[31m\r\n` }, /cannot get .*web\.aci/],
      [
        'behind endless headers',
        { raw: `HTTP/1.1 200 OK\r\n${'X-Header: value\r\n'.repeat(100_000)}\r\n` },
        /cannot get .*web\.aci/,
      ],
      ['later, please', { status: 429, headers: { 'Retry-After': '1000000000' } }, 'code: 429'],
      [
        'later, in the past',
        { status: 503, headers: { 'Retry-After': 'Mon, 02 Jan 2006 15:04:05 GMT' } },
        'code: 503',
      ],
      [
        'nobody asked for',
        { status: 206, body: aci.bytes, headers: { 'Content-Range': 'bytes 5-9/10' } },
        /fetch: /,
      ],
      ['never, but unchanged', { status: 304 }, 'bad HTTP status code: 304'],
    ];
    for (const [what, resource, text] of bodies) {
      it(what, () => refused(server.serve('/web.aci', resource), text));
    }
    it('without an end, until they are told to stop', async () => {
      const url = server.serve('/web.aci', { body: Buffer.alloc(64 * 1024), endless: true });
      const running = rkt.start([INSECURE, 'fetch', url]);
      await running.waitFor(/Downloading ACI: .* of an unknown total size/);
      running.kill('SIGINT');
      const { status } = await running.ended;
      assert.notEqual(status, 0);
    });
    it('packed by the way, which are stored as they are', async () => {
      const { gzipSync } = process.getBuiltinModule('node:zlib');
      const headers = { 'Content-Encoding': 'gzip' };
      const url = server.serve('/web.aci', { body: gzipSync(aci.bytes), headers });
      assert.equal((await rkt.ok([INSECURE, 'fetch', '--full', url])).stdout.trim(), aci.key);
    });
  });

  describe('redirect', () => {
    it('thirty times', async () => {
      for (let index = 30; index > 0; index -= 1) {
        server.serve(`/r${index}.aci`, { redirect: `/r${index - 1}.aci` });
      }
      await refused(`${server.url}/r30.aci`, 'too many redirects');
      assert.equal(server.requests.length, 11);
    });
    for (const [location, text] of [
      ['file:///etc/passwd', 'redirects to "file:///etc/passwd"'],
      ['javascript:alert(1)', 'redirects to "javascript:alert(1)"'],
      ['http://', 'redirects to "http://"'],
    ] as const) {
      it(`to ${location}`, () => refused(server.serve('/web.aci', { redirect: location }), text));
    }
    it('from the network to what only this machine can reach', async function () {
      const address = Object.values(networkInterfaces())
        .flat()
        .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
      if (address === undefined) return skip(this, 'needs an address besides loopback');
      server.serve('/web.aci', { body: aci.bytes });
      await using outside = await startImageServer({ address });
      for (const target of [
        `${server.url}/web.aci`,
        `http://localhost:${server.port}/web.aci`,
        `http://[::ffff:127.0.0.1]:${server.port}/web.aci`,
        'http://169.254.169.254/latest/meta-data/web.aci',
      ]) {
        await refused(
          outside.serve('/web.aci', { redirect: target }),
          'which only this machine can reach, from a server on the network',
        );
      }
      assert.deepEqual(server.requests, []);
      // The user may ask for what is here, and what is here may lead away.
      outside.serve('/web.aci', { body: aci.bytes });
      await rkt.ok([INSECURE, 'fetch', server.serve('/away.aci', { redirect: `${outside.url}/web.aci` })]);
    });
  });

  describe('over TLS', () => {
    let authority: Authority;
    let secure: ImageServer | undefined;
    before(() => {
      authority = makeAuthority();
    });
    after(() => authority?.[Symbol.dispose]());
    afterEach(async () => {
      await secure?.close();
      secure = undefined;
    });
    const start = async (tls: Parameters<typeof startImageServer>[0]): Promise<string> => {
      secure = await startImageServer(tls);
      return secure.serve('/web.aci', { body: aci.bytes });
    };
    const trusted = (): StartOptions => ({ env: { SSL_CERT_FILE: authority.file } });

    it('are believed if the host trusts who signed their certificate', async () => {
      const url = await start({ tls: authority.issue({ names: ['127.0.0.1'] }) });
      await rkt.ok([INSECURE, 'fetch', url], trusted());
      await rkt.ok([INSECURE, 'fetch', url], {
        env: { SSL_CERT_DIR: authority.file.replace(/\/[^/]*$/, ''), SSL_CERT_FILE: '/nonexistent' },
      });
    });
    it('are not believed for what only node believes', async () => {
      const url = await start({ tls: authority.issue({ names: ['127.0.0.1'] }) });
      const env = { NODE_EXTRA_CA_CERTS: authority.file, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
      const result = await rkt.run([INSECURE, 'fetch', url], { env });
      assert.equal(result.status, 254, result.output);
      assert.match(result.stderr, /unknown authority/);
    });
    for (const [what, options, reason] of [
      ['expired', { names: ['127.0.0.1'], expired: true }, 'the certificate has expired'],
      ['another name', { names: ['example.com'] }, 'the certificate is for another host'],
      ['no authority', { names: ['127.0.0.1'], selfSigned: true }, 'the certificate is signed by itself'],
    ] as const) {
      it(`with a certificate of ${what}`, async () => {
        const url = await start({ tls: authority.issue(options) });
        const { stderr } = await refused(url, reason, trusted());
        assert.match(stderr, /cannot get https:\/\/127\.0\.0\.1:\d+\/web\.aci: .*--insecure-options=tls/);
        await rkt.ok(['--insecure-options=image,tls', 'fetch', url], trusted());
      });
    }
    it('with a version that is not safe', async () => {
      const identity = authority.issue({ names: ['127.0.0.1'] });
      const url = await start({
        tls: { ...identity, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      });
      await refused(url, 'the server speaks only versions of TLS that are not safe', trusted());
    });
    it('that speak none', async () => {
      await refused(`${server.url.replace('http', 'https')}/web.aci`, 'the server does not speak TLS');
    });
    it('that lead back to plain http', async () => {
      const url = await start({ tls: authority.issue({ names: ['127.0.0.1'] }) });
      const plain = server.serve('/web.aci', { body: aci.bytes });
      secure?.serve('/web.aci', { redirect: plain });
      await refused(url, 'redirects from https to http', trusted());
      assert.deepEqual(server.requests, []);
    });
  });

  it('set cookies for others, which are not sent', async () => {
    server.serve('/web.aci', { body: aci.bytes });
    const port = new URL(server.url).port;
    const url = server.serve('/a.aci', {
      redirect: `http://localhost:${port}/web.aci`,
      setCookie: ['a=1', 'b=2; Domain=localhost', 'c=3; Path=/; Domain=com'],
    });
    await rkt.ok([INSECURE, 'fetch', url]);
    assert.equal(server.requestsOf('/web.aci')[0]?.headers.cookie, undefined);
  });
  it('that set a cookie and redirect get it back', async () => {
    server.serve('/web.aci', { body: aci.bytes, cookie: 'login=yes' });
    await rkt.ok([
      INSECURE,
      'fetch',
      server.serve('/a.aci', { redirect: '/web.aci', setCookie: ['login=yes'] }),
    ]);
  });
  it('leave a killed download behind that the next one does not mistake for an image', async () => {
    const url = server.serve('/web.aci', { body: aci.bytes, bytesPerSecond: 20_000 });
    const running = rkt.start([INSECURE, 'fetch', url]);
    await eventually('bytes arrive', () => server.requests.length === 1);
    running.kill('SIGKILL');
    await running.ended;
    server.serve('/web.aci', { body: '<html>', contentType: 'text/html' });
    const result = await rkt.run([INSECURE, 'fetch', url]);
    assert.equal(result.status, 254, result.output);
    assert.match(result.stderr, /unknown image filetype/);
  });
});
