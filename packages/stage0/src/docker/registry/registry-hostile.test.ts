// A registry that lies, stalls, and sends elsewhere (hostile inputs 28, 29, 31, 35-42).

import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';

import {
  buildIndex,
  buildOciImage,
  type BuiltOciImage,
  descriptor,
  jsonBlob,
  sha256,
} from '@rkt/testkit/oci-builder';
import { end, type HostileRegistry, startHostileRegistry } from '@rkt/testkit/registry/hostile-registry';

import { EMPTY_CONFIG } from '../../config/config.ts';
import type { OciImage } from '../oci-image.ts';
import { requestToken } from './token.ts';
import { type ContextOverrides, readLayer, TestContext } from '../testing/test-context.ts';

const LOGIN = { user: 'me', password: 'secret' };
const JSON_TYPE = 'application/json';

describe('hostile registries', () => {
  let registry: HostileRegistry;
  let other: HostileRegistry;
  const image: BuiltOciImage = buildOciImage({
    layers: [[{ path: 'a', content: 'x'.repeat(100_000) }]],
    compression: 'none',
  });
  const [layer = image.config] = image.layers;
  beforeEach(async () => {
    registry = await startHostileRegistry();
    other = await startHostileRegistry();
    registry.put('acme/srv', 'latest', image);
  });
  afterEach(async () => {
    await registry.close();
    await other.close();
  });

  const argument = (): string => `docker://${registry.host}/acme/srv`;
  async function read(overrides: ContextOverrides = {}): Promise<OciImage> {
    using the = new TestContext(overrides);
    return (await the.read(argument())).image;
  }
  const withLogin = (): ContextOverrides => ({
    config: { ...EMPTY_CONFIG, dockerAuth: new Map([[registry.host, LOGIN]]) },
  });
  const refuses = (code: string, message: RegExp, overrides?: ContextOverrides): Promise<void> =>
    assert.rejects(read(overrides), (error: Error & { code: string }) => {
      assert.match(error.message, message);
      assert.equal(error.code, code);
      assert.doesNotMatch(error.message, /secret|bWU6c2VjcmV0/);
      return true;
    });

  describe('that lie about content', () => {
    const fakes: Record<string, readonly [bytes: Buffer, message: RegExp]> = {
      'other bytes': [
        Buffer.alloc(layer.bytes.length, 1),
        /^layer sha256:[0-9a-f]{64} is not what its digest says/,
      ],
      'fewer bytes': [layer.bytes.subarray(0, 1000), /ends after 1000 of \d+ bytes$/],
      'more bytes': [Buffer.concat([layer.bytes, Buffer.alloc(1)]), /is longer than the \d+ bytes/],
      'no bytes': [Buffer.alloc(0), /ends after 0 of/],
    };
    for (const [name, [bytes, message]] of Object.entries(fakes)) {
      it(`of a layer: ${name}`, async () => {
        registry.putBlob('acme/srv', layer.digest, bytes);
        await refuses('digest-mismatch', message);
      });
    }
    it('of a layer that never ends', async () => {
      registry.misbehave(new RegExp(layer.digest), (_request, response) => {
        response.writeHead(200);
        const chunk = Buffer.alloc(64 * 1024);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        more();
      });
      await refuses('digest-mismatch', /is longer than/);
    });
    it('of a config', async () => {
      registry.putBlob(
        'acme/srv',
        image.config.digest,
        Buffer.from(image.config.bytes.toString().replace('amd64', 'arm64')),
      );
      await refuses('digest-mismatch', /^config sha256:[0-9a-f]+ is not what its digest says/);
      registry.putBlob('acme/srv', image.config.digest, Buffer.alloc(100_000));
      await refuses('too-large', /is larger than \d+ bytes$/);
    });
    it('of a manifest that is asked for by digest', async () => {
      const digest = image.manifest.digest;
      registry.putManifest('acme/srv', digest, buildOciImage({ config: { author: 'evil' } }).manifest);
      using the = new TestContext();
      await assert.rejects(the.read(`${argument()}@${digest}`), { code: 'digest-mismatch' });
    });
    it('of a manifest that an index names', async () => {
      const evil = buildOciImage({ config: { author: 'evil' } });
      registry.putManifest('acme/srv', 'latest', buildIndex([['linux/amd64', image.manifest]]));
      registry.putManifest('acme/srv', image.manifest.digest, evil.manifest);
      await refuses('digest-mismatch', /^manifest of /);
    });
    it('of the number of layers', async () => {
      const fewer = jsonBlob(image.manifest.mediaType, {
        schemaVersion: 2,
        config: descriptor(image.config),
        layers: [],
      });
      registry.putManifest('acme/srv', 'latest', fewer);
      await refuses('bad-image', /0 layers, but the config has 1 diff_ids/);
    });
    it('with bytes that are packed for the way: what is stored is what came', async () => {
      registry.misbehave(new RegExp(layer.digest), (_request, response) => {
        response.writeHead(200, { 'Content-Encoding': 'gzip' });
        response.end(layer.bytes);
      });
      await read();
      registry.misbehave(new RegExp(layer.digest), (_request, response) => {
        response.writeHead(200, { 'Content-Encoding': 'gzip' });
        response.end(gzipSync(layer.bytes));
      });
      await refuses('digest-mismatch', /ends after|is longer/);
    });
  });

  describe('that send manifests nobody wants', () => {
    const put = (value: unknown, mediaType = image.manifest.mediaType): void =>
      registry.putManifest('acme/srv', 'latest', jsonBlob(mediaType, value));
    const honest = { schemaVersion: 2, config: descriptor(image.config), layers: [descriptor(layer)] };

    it('that are an index, too', async () => {
      put({ ...honest, manifests: [] });
      await refuses('bad-image', /is ambiguous/);
      put(honest, 'application/vnd.oci.image.index.v1+json');
      await refuses('bad-image', /is ambiguous/);
    });
    it('with digests that are paths: nothing is asked for', async () => {
      for (const digest of [
        'sha256:../../../../etc/passwd',
        layer.digest.toUpperCase(),
        `${layer.digest}0`,
        'md5:0',
      ]) {
        put({ ...honest, layers: [{ ...descriptor(layer), digest }] });
        await refuses('bad-image', /layers\[0\]: bad digest/);
        put({ ...honest, config: { ...descriptor(image.config), digest } });
        await refuses('bad-image', /config: bad digest/);
      }
      assert.deepEqual(registry.requestsOf(/blobs/), []);
    });
    it('of 100 MB', async () => {
      registry.misbehave(/manifests/, (_request, response) => {
        response.writeHead(200, { 'Content-Type': image.manifest.mediaType });
        for (let sent = 0; sent < 100; sent += 1) response.write(Buffer.alloc(1024 * 1024, 0x20));
        response.end();
      });
      await refuses('too-large', new RegExp(`^http://${registry.host}/.* is larger than 4194304 bytes$`));
    });
    it('that say they are larger than they may be', async () => {
      put({ ...honest, config: { ...descriptor(image.config), size: 10 ** 9 } });
      await refuses('bad-image', /config of 1000000000 bytes/);
      const index = {
        ...descriptor(image.manifest),
        size: 10 ** 9,
        platform: { os: 'linux', architecture: 'amd64' },
      };
      put({ schemaVersion: 2, manifests: [index] }, 'application/vnd.oci.image.index.v1+json');
      await refuses('bad-image', /manifest of 1000000000 bytes/);
      assert.deepEqual(registry.requestsOf(/blobs|sha256/), []);
    });
    it('that are web pages', async () => {
      registry.misbehave(/manifests/, (_request, response) =>
        end(response, 200, '<html>log in</html>', 'text/html'),
      );
      await refuses(
        'registry',
        new RegExp(`^${registry.host} answers with a web page instead of the manifest`),
      );
    });
    it('that are indexes in indexes without end', async () => {
      const type = 'application/vnd.oci.image.index.v1+json';
      let inner = image.manifest;
      for (let depth = 0; depth < 6; depth += 1) {
        registry.putManifest('acme/srv', inner.digest, inner);
        inner = buildIndex([['linux/amd64', { ...inner, mediaType: depth === 0 ? inner.mediaType : type }]]);
      }
      registry.putManifest('acme/srv', 'latest', inner);
      await refuses('bad-image', /indexes in indexes/);
    });
    it('for ten thousand platforms, none of them ours', async () => {
      const platforms = Array.from(
        { length: 10_000 },
        (_, at) => [`linux/arch${at}`, image.manifest] as const,
      );
      registry.putManifest('acme/srv', 'latest', buildIndex(platforms));
      await refuses(
        'no-platform',
        /has no image for linux\/amd64: available are linux\/arch0, .* and 9980 more$/,
      );
    });
    it('with urls of layers elsewhere: they are not visited', async () => {
      const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar';
      put({ ...honest, layers: [{ ...descriptor(layer), mediaType, urls: [`${other.url}/layer`] }] });
      await read(withLogin());
      assert.deepEqual(other.requests, []);
    });
  });

  describe('that want a login for somebody else', () => {
    const challenge = (realm: string): void => {
      registry.auth = { kind: 'bearer', realm, login: LOGIN };
      other.auth = { kind: 'bearer' };
    };
    // The same machine, by another name.
    const elsewhere = (): string => `http://localhost:${other.host.split(':')[1]}/token`;

    it('do not get it', async () => {
      challenge(elsewhere());
      await refuses('unauthorized', /Unexpected HTTP code: 401/, withLogin());
      const [request] = other.requestsOf(/token/);
      assert.equal(request?.headers.authorization, undefined);
      assert.equal(request?.url, '/token?service=test+service&scope=repository%3Aacme%2Fsrv%3Apull');
    });
    it('and refuses strangers: says why no login was sent', async () => {
      challenge(elsewhere());
      other.auth = { kind: 'bearer', login: LOGIN };
      await assert.rejects(read(withLogin()), (error: Error & { hint: string }) => {
        assert.equal(error.message, 'unable to retrieve auth token: 401 unauthorized');
        assert.match(error.hint, /was not sent to localhost:\d+, which is another's host/);
        return true;
      });
    });
    it('get it when that host is configured', async () => {
      challenge(elsewhere());
      const host = new URL(elsewhere()).host;
      await refuses('unauthorized', /401/, {
        config: { ...EMPTY_CONFIG, dockerAuth: new Map([[host, LOGIN]]) },
      });
      const [request] = other.requestsOf(/token/);
      assert.match(request?.headers.authorization ?? '', /^Basic /);
    });
    it('and hide one in the address', async () => {
      challenge(`http://me:hidden@${other.host}/token`);
      await refuses(
        'registry',
        /names a token server with a login in its URL: http:\/\/me:\*\*\*@/,
        withLogin(),
      );
      assert.deepEqual(other.requests, []);
    });
    it('by something that is no web address', async () => {
      for (const realm of ['file:///etc/passwd', 'javascript:x', 'not a url', '']) {
        challenge(realm);
        await refuses('registry', /names a token server that is no URL/, withLogin());
      }
    });
    it('and answer with what is no token', async () => {
      registry.auth = { kind: 'bearer' };
      for (const answer of ['{}', '[]', '{"token":""}', '{"token":"a\\r\\nX-Evil: 1"}', '<html>']) {
        registry.misbehave(/^\/token$/, (_request, response) => end(response, 200, answer, JSON_TYPE));
        await assert.rejects(read(), (error: Error & { code: string }) =>
          /^(registry|bad-image)$/.test(error.code),
        );
      }
      registry.misbehave(/^\/token$/, (_request, response) =>
        end(response, 200, ' '.repeat(2_000_000), JSON_TYPE),
      );
      await refuses('too-large', /is larger than/);
    });
  });

  describe('that send elsewhere', () => {
    it('do not make us tell our login there', async () => {
      registry.auth = { kind: 'basic', ...LOGIN };
      registry.misbehave(/blobs/, ({ url }, response) => {
        response.writeHead(307, { Location: `${other.url}${url}` });
        response.end();
      });
      other.put('acme/srv', 'latest', image);
      await read(withLogin());
      assert.equal(other.requests.length, 2);
      for (const { headers } of other.requests) assert.equal(headers.authorization, undefined);
    });
    it('round and round', async () => {
      registry.misbehave(/blobs/, ({ url }, response) => {
        response.writeHead(302, { Location: `${url}?` });
        response.end();
      });
      await refuses('redirect', /^too many redirects/);
    });
    it('by other schemes', async () => {
      registry.misbehave(/blobs/, (_request, response) => {
        response.writeHead(302, { Location: 'file:///etc/passwd' });
        response.end();
      });
      await refuses('redirect', /redirects to/);
    });
  });

  describe('that are busy or slow', () => {
    it('are asked again, and not waited for without end', async () => {
      let busy = 2;
      registry.misbehave(/manifests/, (_request, response) => {
        if (busy === 0) return false;
        busy -= 1;
        response.setHeader('Retry-After', '1000000000');
        end(response, 429);
        return true;
      });
      const waits: number[] = [];
      using the = new TestContext();
      await the.read(argument(), { wait: (ms) => Promise.resolve(waits.push(ms)) });
      assert.deepEqual(waits, [20_000, 20_000]);
    });
    for (const status of [429, 503]) {
      it(`for good are given up with status ${status}`, async () => {
        registry.misbehave(/manifests/, (_request, response) => end(response, status));
        await refuses('registry', new RegExp(`^Unexpected HTTP code: ${status}, URL: http`));
        assert.equal(registry.requestsOf(/manifests/).length, 4);
      });
    }
    it('with an error page of 100 MB: it is not read', async () => {
      registry.misbehave(/manifests/, (_request, response) => {
        response.writeHead(500, { 'Content-Type': JSON_TYPE });
        for (let sent = 0; sent < 100; sent += 1) response.write(Buffer.alloc(1024 * 1024, 0x20));
        response.end();
      });
      await refuses('registry', /^Unexpected HTTP code: 500, URL: \S+$/);
    });
    it('whose message would paint the terminal: it is shown as text', async () => {
      const body = JSON.stringify({ errors: [{ message: `\u001b[2J${'x'.repeat(1000)}` }] });
      registry.misbehave(/manifests/, (_request, response) => end(response, 500, body, JSON_TYPE));
      await refuses('registry', /: \\x1b\[2Jx{200,300}$/);
    });
    it('break the connection: it goes on where it was', async () => {
      const cuts = [0, 1000, 50_000];
      registry.misbehave(new RegExp(layer.digest), ({ headers }, response) => {
        const cut = cuts.shift();
        if (cut === undefined) return false;
        const from = Number(/\d+/.exec(headers.range ?? '0')?.[0]);
        response.writeHead(from > 0 ? 206 : 200, {
          'Content-Length': layer.bytes.length - from,
          ...(from > 0 && {
            'Content-Range': `bytes ${from}-${layer.bytes.length - 1}/${layer.bytes.length}`,
          }),
        });
        response.write(layer.bytes.subarray(from, from + cut), () => response.destroy());
        return true;
      });
      using the = new TestContext();
      const { layers } = await the.read(argument());
      assert.deepEqual(layers, [layer.bytes]);
      const ranges = registry.requestsOf(new RegExp(layer.digest)).map(({ headers }) => headers.range);
      assert.equal(ranges.length, 4);
      assert.equal(ranges[0], undefined);
      assert.equal(ranges.at(-1), 'bytes=51000-');
    });
    it('break the connection and know no ranges: what is there already is skipped', async () => {
      let cut = true;
      registry.misbehave(new RegExp(layer.digest), (_request, response) => {
        response.writeHead(200, { 'Content-Length': layer.bytes.length });
        if (cut) response.write(layer.bytes.subarray(0, 5000), () => response.destroy());
        else response.end(layer.bytes);
        cut = false;
      });
      using the = new TestContext();
      assert.deepEqual((await the.read(argument())).layers, [layer.bytes]);
    });
    it('break it again and again: given up', async () => {
      registry.misbehave(new RegExp(layer.digest), (_request, response) => {
        response.writeHead(200, { 'Content-Length': layer.bytes.length });
        response.write(layer.bytes.subarray(0, 10), () => response.destroy());
      });
      await refuses('network', /connection closed|aborted/);
      assert.equal(registry.requestsOf(new RegExp(layer.digest)).length, 4);
    });
  });

  describe('that stall', () => {
    const times = { paceMs: 50, minBytes: 1000 };
    const trickle = (): void =>
      registry.misbehave(new RegExp(layer.digest), ({ headers }, response) => {
        const from = Number(/\d+/.exec(headers.range ?? '0')?.[0]);
        response.writeHead(from > 0 ? 206 : 200, {
          'Content-Length': layer.bytes.length - from,
          ...(from > 0 && {
            'Content-Range': `bytes ${from}-${layer.bytes.length - 1}/${layer.bytes.length}`,
          }),
        });
        const timer = setInterval(() => response.write(Buffer.alloc(1)), 10);
        response.on('close', () => clearInterval(timer));
      });
    it('are tried again, and given up', async () => {
      trickle();
      using the = new TestContext();
      await assert.rejects(the.read(argument(), { times }), /stalled, \d+ bytes in 0\.05 s$/);
      assert.equal(registry.requestsOf(new RegExp(layer.digest)).length, 4);
    });
    it('before they answer are given up', async () => {
      registry.misbehave(/manifests/, () => true);
      using the = new TestContext();
      await assert.rejects(the.read(argument(), { times: { answerMs: 50 } }), /no answer after 0\.05 s$/);
    });
  });

  it('on the network do not make us ask what only this machine can reach', async () => {
    other.auth = { kind: 'bearer' };
    const challenge = { scheme: 'bearer', parameters: new Map([['realm', `${other.url}/token`]]) };
    const request = (namedBy: 'network' | 'loopback'): Promise<string> =>
      requestToken(challenge, {
        registry: new URL('https://registry.example.com/v2/'),
        repository: 'a',
        login: undefined,
        dockerAuth: new Map(),
        allowHttp: true,
        http: { insecureTls: false, login: {}, env: {}, namedBy },
      });
    await assert.rejects(request('network'), {
      code: 'redirect',
      message: /which only this machine can reach/,
    });
    assert.deepEqual(other.requests, []);
    assert.equal(await request('loopback'), 'token-1');
  });

  it('leave nothing open when an image is closed in the middle', async () => {
    registry.misbehave(new RegExp(layer.digest), (_request, response) => {
      response.writeHead(200, { 'Content-Length': layer.bytes.length });
      response.write(layer.bytes.subarray(0, 10));
    });
    using the = new TestContext();
    const opened = await the.open(argument());
    const reading = readLayer(opened, opened.layers[0] ?? assert.fail());
    await opened.close();
    await assert.rejects(reading, { code: 'cancelled' });
  });

  it('do not get far with labels and annotations that look like ours', async () => {
    const labels = { 'coreos.com/rkt/stage1/run': '/evil', 'appc.io/docker/repository': 'evil' };
    const evil = buildOciImage({
      config: { config: { Labels: labels } },
      manifest: { annotations: labels },
    });
    registry.put('acme/srv', 'latest', evil);
    const found = await read();
    assert.equal(found.reference.repository, 'acme/srv');
    assert.deepEqual(Object.fromEntries(found.config.config?.labels ?? []), labels);
    assert.equal(sha256(evil.manifest.bytes), found.manifestDigest);
  });
});
