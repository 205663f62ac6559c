// Credentials and proxies of image downloads (contract stage0 2.2, 2.4, 4.6, 1.11).

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';

import { buildAci } from '@rkt/testkit/aci-builder';
import { type Authority, makeAuthority } from '@rkt/testkit/authority';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';
import { imageManifest } from '@rkt/testkit/manifests';
import { startProxyServer } from '@rkt/testkit/proxy-server';

import type { Result, StartOptions } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { discoveryPage, Sites } from '../lib/sites.ts';
import { suite } from '../lib/suite.ts';

const BASIC = `Basic ${Buffer.from('bar:baz').toString('base64')}`;
const AWS = { accessKeyID: 'AKIDEXAMPLE', secretAccessKey: 'secret' };

suite('credentials of downloads', ['program:openssl'], () => {
  let rkt: Rkt;
  let authority: Authority;
  let server: ImageServer;
  const aci = buildAci({
    manifest: imageManifest({ name: 'example.com/private' }),
    files: [{ path: 'data', content: 'x'.repeat(100_000) }],
  });

  before(() => {
    authority = makeAuthority();
  });
  after(() => authority?.[Symbol.dispose]());
  beforeEach(async () => {
    rkt = new Rkt('auth');
    server = await startImageServer({ tls: authority.issue({ names: ['127.0.0.1', 'localhost'] }) });
  });
  afterEach(async () => {
    await server.close();
    rkt.tmp.remove();
  });

  const configure = (type: string, credentials: object, ...domains: readonly string[]): void =>
    rkt.configure('localConfig', `auth.d/${type}.json`, {
      rktVersion: 'v1',
      rktKind: 'auth',
      domains: domains.length === 0 ? [`127.0.0.1:${server.port}`] : domains,
      type,
      credentials,
    });
  const run = (args: readonly string[], options: StartOptions = {}): Promise<Result> =>
    rkt.run(args, { ...options, env: { SSL_CERT_FILE: authority.file, ...options.env } });
  const fetched = async (url: string, options: StartOptions = {}): Promise<Result> => {
    const result = await run([INSECURE, 'fetch', '--full', url], options);
    assert.equal(result.status, 0, result.output);
    assert.equal(result.stdout.trim(), aci.key);
    return result;
  };
  const refused = async (
    url: string,
    text: string | RegExp = 'bad HTTP status code: 401',
  ): Promise<Result> => {
    const result = await run([INSECURE, 'fetch', url]);
    assert.equal(result.status, 254, result.output);
    assert.ok(
      typeof text === 'string' ? result.stderr.includes(text) : text.test(result.stderr),
      result.stderr,
    );
    return result;
  };
  const authorizations = (path: string): (string | undefined)[] =>
    server.requestsOf(path).map(({ headers }) => headers.authorization);

  for (const [type, credentials, authorization] of [
    ['basic', { user: 'bar', password: 'baz' }, BASIC],
    ['oauth', { token: 'sometoken' }, 'Bearer sometoken'],
  ] as const) {
    it(`of type ${type} log in, others do not`, async () => {
      const url = server.serve('/web.aci', { body: aci.bytes, authorization });
      await refused(url);
      configure(type, credentials);
      await fetched(url);
      rkt.configure('localConfig', `auth.d/${type}.json`, {
        rktVersion: 'v1',
        rktKind: 'auth',
        domains: [`127.0.0.1:${server.port}`],
        type,
        credentials: { user: 'bar', password: 'wrong', token: 'wrong' },
      });
      const { output } = await refused(url);
      assert.ok(!output.includes('wrong'), output);
    });
  }
  it('of type aws sign the request', async () => {
    configure('aws', AWS);
    const url = server.serve('/dir/web.aci', { body: aci.bytes });
    await fetched(url);
    const { headers } = server.requests[0] ?? {};
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    assert.match(
      headers?.authorization ?? '',
      new RegExp(
        `^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${day.slice(0, 4)}\\d{4}/us-east-1/s3/aws4_request, ` +
          'SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$',
      ),
    );
    assert.match(String(headers?.['x-amz-date']), /^\d{8}T\d{6}Z$/);
    assert.equal(headers?.['x-amz-content-sha256'], createHash('sha256').digest('hex'));
  });
  it('of type aws sign each request by its method and path', async () => {
    configure('aws', { ...AWS, awsRegion: 'eu-west-1' });
    const resumable = { ranges: 'partial', lastModified: 'Mon, 02 Jan 2006 15:04:05 MST' } as const;
    const url = server.serve('/web.aci', { body: aci.bytes, ...resumable });
    mkdirSync(`${rkt.data}/cas/tmp`, { recursive: true });
    const digest = createHash('sha512').update(url).digest('hex').slice(0, 64);
    writeFileSync(`${rkt.data}/cas/tmp/sha512-${digest}`, aci.bytes.subarray(0, 50_000));
    await fetched(url);
    const [head, get] = server.requestsOf('/web.aci');
    assert.deepEqual([head?.method, get?.method], ['HEAD', 'GET']);
    assert.match(head?.headers.authorization ?? '', /\/eu-west-1\/s3\//);
    assert.notEqual(head?.headers.authorization, get?.headers.authorization);
  });
  it('log in for signatures, too', async () => {
    configure('basic', { user: 'bar', password: 'baz' });
    const url = server.serve('/web.aci', { body: aci.bytes, authorization: BASIC });
    server.serve('/web.aci.asc', { body: 'no signature', authorization: BASIC });
    const result = await run(['fetch', url]);
    assert.equal(result.status, 254);
    assert.deepEqual(authorizations('/web.aci.asc'), [BASIC]);
    assert.ok(!result.output.includes('401'), result.output);
  });
  it('belong to one host and port', async () => {
    const url = server.serve('/web.aci', { body: aci.bytes, authorization: BASIC });
    configure(
      'basic',
      { user: 'bar', password: 'baz' },
      '127.0.0.1',
      `localhost:${server.port}`,
      '127.0.0.1:443',
    );
    await refused(url);
    assert.deepEqual(authorizations('/web.aci'), [undefined]);
    await fetched(url.replace('127.0.0.1', 'localhost'));
  });
  it('are never sent over plain http', async () => {
    await using plain = await startImageServer();
    configure('basic', { user: 'bar', password: 'baz' }, `127.0.0.1:${plain.port}`);
    await fetched(plain.serve('/web.aci', { body: aci.bytes }));
    assert.equal(plain.requests[0]?.headers.authorization, undefined);
  });
  it('do not follow redirects, to other hosts or the same', async () => {
    await using other = await startImageServer({ tls: authority.issue({ names: ['localhost'] }) });
    configure(
      'basic',
      { user: 'bar', password: 'baz' },
      `127.0.0.1:${server.port}`,
      `localhost:${other.port}`,
    );
    other.serve('/web.aci', { body: aci.bytes });
    const url = server.serve('/there.aci', {
      redirect: `https://localhost:${other.port}/web.aci`,
      authorization: BASIC,
    });
    await fetched(url);
    assert.equal(other.requests.length, 1);
    assert.equal(other.requests[0]?.headers.authorization, undefined);
    server.serve('/web.aci', { body: aci.bytes });
    await fetched(server.serve('/here.aci', { redirect: '/web.aci' }));
    assert.deepEqual(authorizations('/web.aci'), [undefined]);
  });

  describe('of discovery', () => {
    let sites: Sites;
    let site: ImageServer;
    before(async function () {
      requires(this, 'root');
      sites = new Sites('127.77.3.2', ['images.example.com']);
      site = await sites.secure({ names: ['images.example.com'] });
    });
    after(() => sites?.[Symbol.asyncDispose]());

    it('log in at pages as at downloads, but for aws', async () => {
      const template = 'images.example.com https://images.example.com/{name}.{ext}';
      site.serve('/private', { body: discoveryPage(['ac-discovery', template]), authorization: BASIC });
      const private_ = buildAci({ manifest: imageManifest({ name: 'images.example.com/private' }) });
      site.serve('/images.example.com/private.aci', { body: private_.bytes, authorization: BASIC });
      configure('basic', { user: 'bar', password: 'baz' }, 'images.example.com');
      const fetch = (): Promise<Result> =>
        rkt.run([INSECURE, 'fetch', '--full', 'images.example.com/private'], { env: sites.env });
      const result = await fetch();
      assert.equal(result.status, 0, result.output);
      assert.equal(result.stdout.trim(), private_.key);
      rkt.configure('localConfig', 'auth.d/basic.json', {
        rktVersion: 'v1',
        rktKind: 'auth',
        domains: ['images.example.com'],
        type: 'aws',
        credentials: AWS,
      });
      assert.match((await fetch()).stderr, /discovery failed: .*404/);
      assert.equal(site.requestsOf('/private').at(-1)?.headers.authorization, undefined);
    });
  });

  describe('and proxies', () => {
    describe('with names', () => {
      let sites: Sites;
      before(function () {
        requires(this, 'root');
        sites = new Sites('127.77.3.3', ['images.example.com', 'example.org']);
      });
      after(() => sites?.[Symbol.asyncDispose]());

      it('are left out by NO_PROXY', async () => {
        const site = await sites.plain();
        site.serve('/web.aci', { body: aci.bytes });
        await using proxy = await startProxyServer({ routes: {} });
        const env = { HTTP_PROXY: proxy.url, NO_PROXY: '10.0.0.0/8,.example.com,example.org:80' };
        await fetched('http://images.example.com/web.aci', { env });
        await fetched('http://example.org/web.aci', { env });
        assert.deepEqual([proxy.requests.length, site.requests.length], [0, 2]);
        const result = await run([INSECURE, 'fetch', 'http://example.org/web.aci'], {
          env: { ...env, NO_PROXY: 'example.org:8080' },
        });
        assert.ok(result.stderr.includes('bad HTTP status code: 502'), result.stderr);
      });
    });

    it('are not shown to the proxy, which makes a tunnel', async () => {
      await using proxy = await startProxyServer({ routes: { 'images.example.com:443': server.port } });
      server.serve('/web.aci', { body: aci.bytes, authorization: BASIC });
      configure('basic', { user: 'bar', password: 'baz' }, 'images.example.com');
      const url = 'https://images.example.com/web.aci';
      const result = await run([INSECURE, 'fetch', url], { env: { HTTPS_PROXY: proxy.url } });
      // The certificate is for another name: it is the server's, seen through the tunnel.
      assert.match(result.stderr, /the certificate is for another host/);
      await server.close();
      server = await startImageServer({ tls: authority.issue({ names: ['images.example.com'] }) });
      server.serve('/web.aci', { body: aci.bytes, authorization: BASIC });
      await using second = await startProxyServer({ routes: { 'images.example.com:443': server.port } });
      await fetched(url, { env: { https_proxy: second.url } });
      assert.deepEqual(second.requests, ['CONNECT images.example.com:443']);
    });
    it('pass plain requests on', async () => {
      await using plain = await startImageServer();
      plain.serve('/web.aci', { body: aci.bytes });
      await using proxy = await startProxyServer({ routes: { 'images.example.com:80': plain.port } });
      await fetched('http://images.example.com/web.aci', { env: { HTTP_PROXY: proxy.url } });
      assert.deepEqual(proxy.requests, ['GET http://images.example.com/web.aci']);
      const result = await run([INSECURE, 'fetch', 'http://elsewhere.example.com/web.aci'], {
        env: { HTTP_PROXY: proxy.url },
      });
      assert.ok(result.stderr.includes('bad HTTP status code: 502'), result.stderr);
    });
    it('may want a password', async () => {
      const authorization = `Basic ${Buffer.from('me:pw').toString('base64')}`;
      await using plain = await startImageServer();
      plain.serve('/web.aci', { body: aci.bytes });
      await using proxy = await startProxyServer({
        routes: { 'images.example.com:80': plain.port, 'images.example.com:443': server.port },
        authorization,
      });
      const refusal = await run([INSECURE, 'fetch', 'https://images.example.com/web.aci'], {
        env: { HTTPS_PROXY: proxy.url },
      });
      assert.match(
        refusal.stderr,
        /images\.example\.com.*the proxy refused: 407 Proxy Authentication Required \(put user and password/,
      );
      const env = { HTTP_PROXY: proxy.url.replace('http://', 'http://me:pw@') };
      const { output } = await fetched('http://images.example.com/web.aci', { env });
      assert.ok(!output.includes('pw@'), output);
    });
    it('are left out for this machine', async () => {
      await using proxy = await startProxyServer({ routes: {} });
      await fetched(server.serve('/web.aci', { body: aci.bytes }), { env: { HTTPS_PROXY: proxy.url } });
      assert.deepEqual(proxy.requests, []);
    });
    it('of an unknown kind are refused', async () => {
      const result = await run([INSECURE, 'fetch', 'http://images.example.com/web.aci'], {
        env: { HTTP_PROXY: 'socks5://127.0.0.1:1' },
      });
      assert.ok(result.stderr.includes('HTTP_PROXY names a proxy of kind "socks5"'), result.stderr);
    });
  });
});
