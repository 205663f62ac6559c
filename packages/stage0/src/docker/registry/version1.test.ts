// Registries of version 1 (contract stage0 5.3 point 4), and those of schema 1.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { casTmpDir } from '@rkt/pod-layout/data-dir';
import { jsonBlob, layerArchive, sha256 } from '@rkt/testkit/oci-builder';
import { end, type HostileRegistry, startHostileRegistry } from '@rkt/testkit/registry/hostile-registry';

import { EMPTY_CONFIG } from '../../config/config.ts';
import { TestContext } from '../testing/test-context.ts';

const [TOP, BASE] = ['3'.repeat(64), '1'.repeat(64)];
const JSON_TYPE = 'application/json';

describe('old registries', () => {
  let registry: HostileRegistry;
  const layers = ['lower', 'upper'].map((content) => gzipSync(layerArchive([{ path: 'a', content }])));
  const [lower = Buffer.alloc(0), upper = Buffer.alloc(0)] = layers;
  beforeEach(async () => {
    registry = await startHostileRegistry();
  });
  afterEach(() => registry.close());
  const argument = (tag = '1'): string => `docker://${registry.host}/acme/srv:${tag}`;

  describe('of version 1', () => {
    // Answers by path; a token that every request after the first must have.
    function serveVersion1(answers: Record<string, string | Buffer>): void {
      registry.misbehave(/^\/v2\/$/, (_request, response) => end(response, 404));
      registry.misbehave(/^\/v1\//, ({ url, headers }, response) => {
        const path = url.slice('/v1/'.length);
        if (path === '_ping') return end(response, 200, 'true');
        if (path === 'repositories/acme/srv/images') {
          response.setHeader('X-Docker-Token', 'signature=x,repository="acme/srv",access=read');
          response.setHeader('Set-Cookie', 'session=abc; Path=/; HttpOnly');
          response.setHeader('X-Docker-Endpoints', registry.host);
          return end(response, 200, '[]', JSON_TYPE);
        }
        const allowed =
          headers.authorization === 'Token signature=x,repository="acme/srv",access=read' &&
          headers.cookie === 'session=abc';
        const body = answers[path];
        if (!allowed || body === undefined) return end(response, allowed ? 404 : 401);
        response.writeHead(200);
        response.end(body);
      });
    }
    const honest = {
      'repositories/acme/srv/tags': JSON.stringify({ '1': TOP, latest: BASE, Latest: BASE }),
      [`images/${TOP}/ancestry`]: JSON.stringify([TOP, BASE]),
      [`images/${TOP}/json`]: JSON.stringify({
        id: TOP,
        parent: BASE,
        comment: 'hi',
        os: 'linux',
        architecture: 'amd64',
        config: { Cmd: ['/a'] },
      }),
      [`images/${TOP}/layer`]: upper,
      [`images/${BASE}/layer`]: lower,
    };

    it('give their images', async () => {
      serveVersion1(honest);
      using the = new TestContext();
      const { image, layers: read } = await the.read(argument());
      assert.deepEqual(read, [lower, upper]);
      assert.deepEqual(
        image.layers.map(({ digest, sizeBytes, compression }) => [digest, sizeBytes, compression]),
        layers.map((bytes) => [sha256(bytes), bytes.length, 'gzip']),
      );
      assert.deepEqual(image.legacy, { schema: 'v1', id: TOP, parent: BASE, comment: 'hi' });
      assert.equal(image.manifestDigest, `sha256:${TOP}`);
      assert.deepEqual(image.config.config?.cmd, ['/a']);
      assert.equal(registry.requestsOf(/repositories.*images/)[0]?.headers['x-docker-token'], 'true');
      assert.deepEqual(readdirSync(casTmpDir(the.context.store.data)), []);
    });
    it('get the login of the user', async () => {
      serveVersion1(honest);
      using the = new TestContext({
        config: { ...EMPTY_CONFIG, dockerAuth: new Map([[registry.host, { user: 'u', password: 'p' }]]) },
      });
      await the.read(argument());
      const sent = registry.requests.filter(({ headers }) => headers.authorization?.startsWith('Basic '));
      assert.deepEqual(
        sent.map(({ url }) => url),
        ['/v1/repositories/acme/srv/images'],
      );
    });
    it('cannot be asked for a digest', async () => {
      serveVersion1(honest);
      using the = new TestContext();
      await assert.rejects(the.read(`docker://${registry.host}/acme/srv@sha256:${TOP}`), /has no digests/);
    });
    const wrong: Record<string, readonly [answers: object, reason: RegExp]> = {
      'without the tag': [{ 'repositories/acme/srv/tags': '{}' }, /no image .*\/acme\/srv:1$/],
      'with a bad ID': [
        { 'repositories/acme/srv/tags': '{"1":"../../x"}' },
        /: bad image ID "\.\.\/\.\.\/x"/,
      ],
      'with a bad ancestor': [
        { [`images/${TOP}/ancestry`]: JSON.stringify([TOP, '../x']) },
        /: bad image ID/,
      ],
      'with the ancestry of another': [
        { [`images/${TOP}/ancestry`]: JSON.stringify([BASE]) },
        /starts with it/,
      ],
      'without a layer': [{ [`images/${TOP}/layer`]: undefined }, /: Unexpected HTTP code: 404/],
    };
    for (const [name, [answers, reason]] of Object.entries(wrong)) {
      it(`${name} are refused`, async () => {
        serveVersion1({ ...honest, ...answers });
        using the = new TestContext();
        await assert.rejects(the.read(argument()), reason);
        assert.deepEqual(readdirSync(casTmpDir(the.context.store.data)), []);
      });
    }
    it('that send to somebody else with the token are refused', async () => {
      serveVersion1(honest);
      registry.misbehave(/\/images$/, (_request, response) => {
        response.setHeader('X-Docker-Endpoints', 'evil.example.com');
        end(response, 200);
      });
      using the = new TestContext();
      await assert.rejects(the.read(argument()), /names an endpoint of somebody else: evil\.example\.com/);
    });
    it('are not asked while there is a version 2, even without the image', async () => {
      serveVersion1(honest);
      registry.misbehave(/^\/v2\/$/, () => false);
      registry.misbehave(/^\/v2\/$/, (_request, response) => {
        response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
        end(response, 200);
      });
      using the = new TestContext();
      await assert.rejects(the.read(argument()), { code: 'not-found' });
      assert.deepEqual(registry.requestsOf(/^\/v1\//), []);
    });
    it('and no registries at all are told apart', async () => {
      registry.misbehave(/./, (_request, response) => end(response, 200, '<html>', 'text/html'));
      registry.misbehave(/_ping/, (_request, response) => end(response, 404));
      using the = new TestContext();
      await assert.rejects(
        the.read(argument()),
        /is not a docker registry: it has neither \/v2\/ nor \/v1\/_ping$/,
      );
    });
  });

  describe('with schema 1', () => {
    const payload = {
      schemaVersion: 1,
      name: 'acme/srv',
      tag: '1',
      architecture: 'amd64',
      fsLayers: [{ blobSum: sha256(upper) }, { blobSum: sha256(lower) }],
      history: [
        { v1Compatibility: JSON.stringify({ id: TOP, parent: BASE, os: 'linux', config: { Cmd: ['/a'] } }) },
        { v1Compatibility: JSON.stringify({ id: BASE }) },
      ],
    };
    for (const type of [
      'application/vnd.docker.distribution.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'application/json',
      'text/plain',
    ]) {
      it(`give their images as ${type}`, async () => {
        registry.putManifest('acme/srv', '1', jsonBlob(type, payload));
        for (const bytes of layers) registry.putBlob('acme/srv', sha256(bytes), bytes);
        using the = new TestContext();
        const { image, layers: read } = await the.read(argument());
        assert.deepEqual(read, [lower, upper]);
        assert.deepEqual(image.legacy, { schema: '2.1', id: TOP, parent: BASE });
        assert.deepEqual(image.config.config?.cmd, ['/a']);
      });
    }
    it('and layers of other bytes are refused', async () => {
      registry.putManifest('acme/srv', '1', jsonBlob('application/json', payload));
      registry.putBlob('acme/srv', sha256(lower), upper);
      using the = new TestContext();
      await assert.rejects(the.read(argument()), { code: 'digest-mismatch' });
    });
  });
});
