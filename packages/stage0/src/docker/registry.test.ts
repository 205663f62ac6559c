// Images from a registry in this process (contract stage0 5.1, 5.3): which requests are made, and what comes out.

import assert from 'node:assert/strict';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { buildIndex, buildOciImage, jsonBlob, type OciBlob, sha256 } from '@rkt/testkit/oci-builder';
import { end, type HostileRegistry, startHostileRegistry } from '@rkt/testkit/registry/hostile-registry';
import { TempDir } from '@rkt/testkit/tmp';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { EMPTY_CONFIG } from '../config/config.ts';
import { convertImage } from '../convert/convert-image.ts';
import { openStoredLayer } from '../convert/layer-store.ts';
import { TestContext } from './testing/test-context.ts';

const LOGIN = { user: 'me', password: 'se:cret' };

describe('images in registries', () => {
  let registry: HostileRegistry;
  beforeEach(async () => {
    registry = await startHostileRegistry();
  });
  afterEach(() => registry.close());

  const urls = (): string[] => registry.requests.map(({ url }) => url);
  const dockerAuth = (host: string): typeof EMPTY_CONFIG => ({
    ...EMPTY_CONFIG,
    dockerAuth: new Map([[host, LOGIN]]),
  });

  for (const kind of ['oci', 'docker'] as const) {
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      it(`are read: ${kind}, ${compression}`, async () => {
        const built = buildOciImage({
          kind,
          compression,
          layers: [[{ path: 'a', content: 'lower' }], [{ path: 'b', content: 'upper' }]],
          config: { author: 'me', config: { Cmd: ['/a'], Env: ['A=b'], ExposedPorts: { '80/tcp': {} } } },
        });
        registry.put('acme/srv', '1.0', built);
        using the = new TestContext();
        const { image, layers } = await the.read(`docker://${registry.host}/acme/srv:1.0`);
        assert.deepEqual(image.reference, {
          index: registry.host,
          repository: 'acme/srv',
          tag: '1.0',
          text: `${registry.host}/acme/srv:1.0`,
        });
        assert.equal(image.source, 'registry');
        assert.equal(image.manifestDigest, built.manifest.digest);
        assert.deepEqual(
          layers,
          built.layers.map(({ bytes }) => bytes),
        );
        assert.deepEqual(
          image.layers.map((layer) => [layer.digest, layer.diffId, layer.sizeBytes, layer.compression]),
          built.layers.map(({ digest, bytes }, at) => [
            digest,
            sha256(built.archives[at] ?? ''),
            bytes.length,
            compression,
          ]),
        );
        assert.equal(image.config.author, 'me');
        assert.deepEqual(image.config.config?.cmd, ['/a']);
        assert.deepEqual(image.config.config?.exposedPorts, ['80/tcp']);
        assert.deepEqual(urls(), [
          '/v2/',
          '/v2/acme/srv/manifests/1.0',
          `/v2/acme/srv/blobs/${built.config.digest}`,
          ...built.layers.map(({ digest }) => `/v2/acme/srv/blobs/${digest}`),
        ]);
      });
    }
  }

  it('are asked for with all media types, and with our name', async () => {
    registry.put('acme/srv', 'latest', buildOciImage());
    using the = new TestContext();
    await the.read(`docker://${registry.host}/acme/srv`);
    const [request] = registry.requestsOf(/manifests\/latest$/);
    const accept = request?.headers.accept ?? '';
    for (const type of [
      'application/vnd.docker.distribution.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'application/vnd.docker.distribution.manifest.v2+json',
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.oci.image.manifest.v1+json',
      'application/vnd.oci.image.index.v1+json',
    ]) {
      assert.ok(accept.split(', ').includes(type), type);
    }
    assert.match(request?.headers['user-agent'] ?? '', /^rkt\//);
  });

  it('are found by digest, which decides over the tag', async () => {
    const [one, two] = [buildOciImage(), buildOciImage({ config: { author: 'two' } })];
    registry.put('acme/srv', '1', one);
    registry.put('acme/srv', '2', two);
    using the = new TestContext();
    const byDigest = await the.read(`docker://${registry.host}/acme/srv@${two.manifest.digest}`);
    assert.equal(byDigest.image.manifestDigest, two.manifest.digest);
    assert.equal(byDigest.image.reference.tag, undefined);
    const both = await the.read(`docker://${registry.host}/acme/srv:1@${two.manifest.digest}`);
    assert.equal(both.image.manifestDigest, two.manifest.digest);
  });

  for (const kind of ['oci', 'docker'] as const) {
    it(`are chosen by platform from an index (${kind})`, async () => {
      const images = ['amd64', 'arm64', 'v7', 'v6'].map((author) =>
        buildOciImage({ kind, config: { author } }),
      );
      const [amd64, arm64, v7, v6] = images.map(({ manifest }) => manifest);
      assert.ok(amd64 !== undefined && arm64 !== undefined && v6 !== undefined && v7 !== undefined);
      for (const image of images) registry.put('acme/srv', 'x', image);
      const index = buildIndex(
        [
          ['linux/arm/v6', v6],
          ['linux/arm/v7', v7],
          ['linux/arm64/v8', arm64],
          ['windows/amd64', arm64],
          ['linux/amd64', amd64],
          ['unknown/unknown', v6],
        ],
        kind,
      );
      registry.putManifest('acme/srv', 'latest', index);
      using the = new TestContext();
      const author = async (architecture: string, variant?: string): Promise<string | undefined> => {
        const platform = { os: 'linux', architecture, ...(variant !== undefined && { variant }) };
        const { image } = await the.read(`docker://${registry.host}/acme/srv`, { platform });
        return image.config.author;
      };
      assert.equal(await author('amd64'), 'amd64');
      assert.equal(await author('arm64'), 'arm64');
      assert.equal(await author('arm', 'v7'), 'v7');
      assert.equal(await author('arm', 'v6'), 'v6');
      await assert.rejects(author('s390x'), {
        code: 'no-platform',
        message: `image "${registry.host}/acme/srv" has no image for linux/s390x: available are linux/arm/v6, linux/arm/v7, linux/arm64/v8, windows/amd64, linux/amd64`,
      });
      await assert.rejects(author('arm', 'v5'), { code: 'no-platform' });
    });
  }

  it('that are not there are named', async () => {
    registry.put('acme/srv', '1', buildOciImage());
    using the = new TestContext();
    await assert.rejects(the.read(`docker://${registry.host}/acme/srv:2`), {
      code: 'not-found',
      message: `Unexpected HTTP code: 404, URL: ${registry.url}/v2/acme/srv/manifests/2: not here`,
    });
  });

  describe('with a login', () => {
    it('by basic authentication', async () => {
      registry.put('acme/srv', 'latest', buildOciImage());
      registry.auth = { kind: 'basic', ...LOGIN };
      using the = new TestContext({ config: dockerAuth(registry.host) });
      await the.read(`docker://${registry.host}/acme/srv`);
      assert.equal(registry.requests[0]?.headers.authorization, undefined, 'nothing is sent unasked');
      using stranger = new TestContext();
      await assert.rejects(
        stranger.read(`docker://${registry.host}/acme/srv`),
        (error: Error & { hint: string }) => {
          assert.equal(error.message, `${registry.host} wants a login`);
          assert.match(error.hint, /dockerAuth/);
          return true;
        },
      );
      using wrong = new TestContext({
        config: { ...EMPTY_CONFIG, dockerAuth: new Map([[registry.host, { user: 'me', password: 'x' }]]) },
      });
      await assert.rejects(wrong.read(`docker://${registry.host}/acme/srv`), { code: 'unauthorized' });
    });

    for (const field of ['token', 'access_token'] as const) {
      it(`by a bearer token, in ${field}, once for all requests and images`, async () => {
        registry.put('acme/srv', 'latest', buildOciImage());
        registry.auth = { kind: 'bearer', field, login: LOGIN };
        using the = new TestContext({ config: dockerAuth(registry.host) });
        await the.read(`docker://${registry.host}/acme/srv`);
        await the.read(`docker://${registry.host}/acme/srv`);
        const [token, ...more] = registry.requestsOf(/^\/token/);
        assert.deepEqual(more, []);
        assert.equal(token?.url, '/token?service=test+service&scope=repository%3Aacme%2Fsrv%3Apull');
        assert.equal(token.headers.authorization, `Basic ${Buffer.from('me:se:cret').toString('base64')}`);
      });
    }

    it('by a bearer token of its own for each repository', async () => {
      registry.put('a/a', 'latest', buildOciImage());
      registry.put('b/b', 'latest', buildOciImage());
      registry.auth = { kind: 'bearer' };
      using the = new TestContext();
      await the.read(`docker://${registry.host}/a/a`);
      await the.read(`docker://${registry.host}/b/b`);
      assert.equal(registry.requestsOf(/^\/token/).length, 2);
    });

    it('by a new token when the old one has expired in the middle', async () => {
      registry.put('acme/srv', 'latest', buildOciImage());
      registry.auth = { kind: 'bearer', uses: 2 };
      using the = new TestContext();
      await the.read(`docker://${registry.host}/acme/srv`);
      assert.equal(registry.requestsOf(/^\/token/).length, 2);
    });

    it('by a refused token: says so in the words of rkt', async () => {
      registry.auth = { kind: 'bearer', login: LOGIN };
      using the = new TestContext();
      await assert.rejects(the.read(`docker://${registry.host}/acme/srv`), {
        message: 'unable to retrieve auth token: 401 unauthorized',
      });
    });

    it('by an identity token, exchanged at the token server', async () => {
      registry.put('acme/srv', 'latest', buildOciImage());
      registry.auth = { kind: 'bearer' };
      using tmp = new TempDir('auth');
      writeFileSync(
        tmp.join('auth.json'),
        JSON.stringify({ auths: { [registry.host]: { identitytoken: 'refresh me' } } }),
      );
      using the = new TestContext({ env: { REGISTRY_AUTH_FILE: tmp.join('auth.json') } });
      await the.read(`docker://${registry.host}/acme/srv`);
      const [request] = registry.requestsOf(/^\/token/);
      assert.equal(request?.method, 'POST');
      const form = new URLSearchParams(request.body);
      assert.equal(form.get('grant_type'), 'refresh_token');
      assert.equal(form.get('refresh_token'), 'refresh me');
      assert.equal(form.get('scope'), 'repository:acme/srv:pull');
    });

    it('of docker login, unless rkt is configured itself', async () => {
      registry.put('acme/srv', 'latest', buildOciImage());
      registry.auth = { kind: 'basic', ...LOGIN };
      using tmp = new TempDir('auth');
      const auth = Buffer.from('me:se:cret').toString('base64');
      writeFileSync(tmp.join('config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
      using the = new TestContext({ env: { DOCKER_CONFIG: tmp.path } });
      await the.read(`docker://${registry.host}/acme/srv`);
      using other = new TestContext({
        env: { DOCKER_CONFIG: tmp.path },
        config: { ...EMPTY_CONFIG, dockerAuth: new Map([[registry.host, { user: 'x', password: 'y' }]]) },
      });
      await assert.rejects(other.read(`docker://${registry.host}/acme/srv`), { code: 'unauthorized' });
    });
  });

  for (const kind of ['basic', 'bearer'] as const) {
    it(`are found where a registry redirects to itself and wants the login again: ${kind}`, async () => {
      registry.auth = kind === 'basic' ? { kind, ...LOGIN } : { kind, login: LOGIN };
      const built = buildOciImage();
      registry.put('acme/srv', 'latest', built);
      registry.put('storage/srv', 'latest', built);
      registry.misbehave(/^\/v2\/acme\/srv\/blobs\//, ({ url, headers }, response) => {
        if (headers.authorization === undefined) return false;
        response.setHeader('Location', url.replace('/acme/', '/storage/'));
        return end(response, 307);
      });
      using the = new TestContext({ config: dockerAuth(registry.host) });
      const { layers } = await the.read(`docker://${registry.host}/acme/srv`);
      assert.deepEqual(layers, [built.layers[0]?.bytes]);
    });
  }
  it('do not take the login along to another port, nor back from there', async () => {
    await using other = await startHostileRegistry();
    registry.auth = { kind: 'basic', ...LOGIN };
    const built = buildOciImage();
    registry.put('acme/srv', 'latest', built);
    registry.misbehave(/^\/v2\/acme\/srv\/blobs\//, ({ url }, response) => {
      response.setHeader('Location', `${other.url}${url}`);
      return end(response, 307);
    });
    other.misbehave(/^\/v2\/acme\/srv\/blobs\//, ({ url }, response) => {
      response.setHeader('Location', `${registry.url}${url.replace('/acme/', '/storage/')}`);
      return end(response, 307);
    });
    registry.put('storage/srv', 'latest', built);
    using the = new TestContext({ config: dockerAuth(registry.host) });
    await assert.rejects(the.read(`docker://${registry.host}/acme/srv`), { code: 'unauthorized' });
    for (const { headers } of other.requests) assert.equal(headers.authorization, undefined);
    for (const { headers } of registry.requestsOf(/storage/)) assert.equal(headers.authorization, undefined);
  });

  describe('with mirrors', () => {
    let mirror: HostileRegistry;
    beforeEach(async () => {
      mirror = await startHostileRegistry();
    });
    afterEach(() => mirror.close());
    const mirrored = (prefix = ''): typeof EMPTY_CONFIG => ({
      ...EMPTY_CONFIG,
      dockerMirrors: new Map([[registry.host, [{ host: mirror.host, prefix, scheme: 'http' as const }]]]),
    });

    it('come from the mirror', async () => {
      mirror.put('proxy/acme/srv', 'latest', buildOciImage());
      using the = new TestContext({ config: mirrored('proxy') });
      const { image } = await the.read(`docker://${registry.host}/acme/srv`);
      assert.equal(image.reference.index, registry.host);
      assert.deepEqual(registry.requests, []);
    });
    it('come from the registry when the mirror has none, or is broken', async () => {
      registry.put('acme/srv', 'latest', buildOciImage());
      using the = new TestContext({ config: mirrored() });
      await the.read(`docker://${registry.host}/acme/srv`);
      assert.match(the.log.join('\n'), new RegExp(`mirror ${mirror.host}: Unexpected HTTP code: 404`));
      await mirror.close();
      await the.read(`docker://${registry.host}/acme/srv`);
      assert.match(the.log.join('\n'), /connection refused/);
    });
    it('come from the registry where the mirror lacks a layer', async () => {
      const built = buildOciImage();
      registry.put('acme/srv', 'latest', built);
      mirror.put('acme/srv', 'latest', built);
      mirror.misbehave(new RegExp(built.layers[0]?.digest ?? ''), (_request, response) => end(response, 404));
      using the = new TestContext({ config: mirrored() });
      const { layers } = await the.read(`docker://${registry.host}/acme/srv`);
      assert.deepEqual(layers, [built.layers[0]?.bytes]);
      assert.deepEqual(urls(), ['/v2/', `/v2/acme/srv/blobs/${built.layers[0]?.digest}`]);
    });
    it('come from the registry where the mirror damages a layer on the way', async () => {
      const layers = [[{ path: 'a', content: randomBytes(300_000) }], [{ path: 'b', content: 'upper' }]];
      const built = buildOciImage({ layers });
      registry.put('acme/srv', 'latest', built);
      mirror.put('acme/srv', 'latest', built);
      const [wanted] = built.layers as [OciBlob, OciBlob];
      const damaged = Buffer.from(wanted.bytes);
      damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
      mirror.putBlob('acme/srv', wanted.digest, damaged);
      using the = new TestContext({ config: mirrored() });
      const image = await the.open(`docker://${registry.host}/acme/srv`);
      const key = await convertImage(the.context, image);
      await image.close();
      assert.match(
        the.log.join('\n'),
        new RegExp(`mirror ${mirror.host}: layer ${wanted.digest} is not what`),
      );
      assert.equal(registry.requestsOf(new RegExp(wanted.digest)).length, 1);
      using direct = new TestContext();
      const same = await direct.open(`docker://${registry.host}/acme/srv`);
      assert.equal(await convertImage(direct.context, same), key);
      await same.close();
    });
    it('are refused where the registry damages the layer as well', async () => {
      const built = buildOciImage();
      const { digest = '', bytes = Buffer.alloc(0) } = built.layers[0] ?? {};
      for (const each of [mirror, registry]) {
        each.put('acme/srv', 'latest', built);
        each.putBlob('acme/srv', digest, Buffer.alloc(bytes.length));
      }
      using the = new TestContext({ config: mirrored() });
      const image = await the.open(`docker://${registry.host}/acme/srv`);
      await assert.rejects(convertImage(the.context, image), (error: Error) =>
        hasCode(error, 'digest-mismatch'),
      );
      await image.close();
      assert.equal(openStoredLayer(the.context.store.data, digest), undefined);
    });
    it('do not send the login of the registry to the mirror', async () => {
      mirror.auth = { kind: 'basic', ...LOGIN };
      registry.put('acme/srv', 'latest', buildOciImage());
      using the = new TestContext({
        config: { ...mirrored(), dockerAuth: new Map([[registry.host, LOGIN]]) },
      });
      await the.read(`docker://${registry.host}/acme/srv`);
      assert.ok(mirror.requests.length > 0);
      for (const { headers } of mirror.requests) assert.equal(headers.authorization, undefined);
    });
  });

  it('over http are refused unless that is allowed', async () => {
    registry.put('acme/srv', 'latest', buildOciImage());
    using the = new TestContext({ http: false });
    await assert.rejects(the.read(`docker://${registry.host}/acme/srv`), { code: 'network' });
    assert.deepEqual(registry.requests, []);
  });

  it('of servers without the header count as version 2 when they answer in JSON', async () => {
    registry.put('acme/srv', 'latest', buildOciImage());
    registry.misbehave(/^\/v2\/$/, (_request, response) => end(response, 200, '{}', 'application/json'));
    using the = new TestContext();
    await the.read(`docker://${registry.host}/acme/srv`);
  });

  it('whose artifact is no image are refused', async () => {
    const config = jsonBlob('application/vnd.cncf.helm.config.v1+json', {});
    const built = buildOciImage();
    const manifest = jsonBlob(built.manifest.mediaType, {
      schemaVersion: 2,
      config: { mediaType: config.mediaType, digest: config.digest, size: config.bytes.length },
      layers: [],
    });
    registry.putManifest('acme/chart', 'latest', manifest);
    using the = new TestContext();
    await assert.rejects(
      the.read(`docker://${registry.host}/acme/chart`),
      /its config is of type "application\/vnd.cncf/,
    );
  });
});
