// A registry that lies (hostile inputs 28-44): refused in one line, no secret told, nothing left in the store.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';

import { buildIndex, buildOciImage, descriptor, jsonBlob } from '@rkt/testkit/oci-builder';
import { end, type HostileRegistry, startHostileRegistry } from '@rkt/testkit/registry/hostile-registry';

import { FAILURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const LOGIN = { user: 'me', password: 's3cret-word' };
const FETCH = ['--insecure-options=image,http', 'fetch'];

suite('hostile registry', [], () => {
  let registry: HostileRegistry;
  let other: HostileRegistry;
  let rkt: Rkt;
  const image = buildOciImage({ layers: [[{ path: 'a', content: 'a' }], [{ path: 'b', content: 'b' }]] });
  const [lower = image.config] = image.layers;
  const honest = {
    schemaVersion: 2,
    config: descriptor(image.config),
    layers: image.layers.map((layer) => descriptor(layer)),
  };

  beforeEach(async () => {
    rkt = new Rkt('hostile');
    registry = await startHostileRegistry();
    other = await startHostileRegistry();
    registry.put('acme/srv', 'latest', image);
    rkt.configure('localConfig', 'auth.d/registry.json', {
      rktKind: 'dockerAuth',
      rktVersion: 'v1',
      registries: [registry.host],
      credentials: LOGIN,
    });
  });
  afterEach(async () => {
    await registry.close();
    await other.close();
    rkt.tmp.remove();
  });

  const namesIn = (directory: string): string[] => {
    try {
      return readdirSync(directory, { recursive: true }).map(String).sort();
    } catch {
      return [];
    }
  };
  /** The fetch fails with one line that says this; with --debug it tells no secret either. */
  async function refused(reason: RegExp, argument = `docker://${registry.host}/acme/srv`): Promise<void> {
    const result = await rkt.run([...FETCH, argument]);
    assert.equal(result.status, FAILURE, result.output);
    const lines = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Downloading '));
    assert.equal(lines.filter((line) => line.startsWith('fetch: ')).length, 1, result.output);
    assert.match(result.stderr, reason);
    const debug = await rkt.run([...FETCH, '--debug', argument]);
    for (const { output } of [result, debug]) {
      assert.ok(!output.includes(LOGIN.password), output);
      assert.ok(!output.includes(Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64')), output);
    }
    assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout.trim(), '');
    const left = namesIn(`${rkt.data}/cas`).filter((name) => /^(tmp|tree)\/./.test(name));
    assert.deepEqual(left, []);
  }
  const put = (value: unknown, type = image.manifest.mediaType): void =>
    registry.putManifest('acme/srv', 'latest', jsonBlob(type, value));

  it('is a registry like others when it behaves', async () => {
    await rkt.ok([...FETCH, `docker://${registry.host}/acme/srv`]);
  });
  it('with layers of other bytes', async () => {
    registry.putBlob('acme/srv', lower.digest, image.layers[1]?.bytes ?? Buffer.alloc(0));
    await refused(/layer sha256:[0-9a-f]{64} (?:is not what its digest says|ends after|is longer)/);
  });
  it('with a layer cut short', async () => {
    registry.putBlob('acme/srv', lower.digest, lower.bytes.subarray(0, 50));
    await refused(/ends after 50 of|stream is cut/);
  });
  it('with manifests that are two things', async () => {
    put({ ...honest, manifests: [] });
    await refused(/is ambiguous/);
  });
  it('with digests that are paths', async () => {
    put({ ...honest, layers: [{ ...descriptor(lower), digest: 'sha256:../../../../etc/shadow' }] });
    await refused(/bad digest "sha256:\.\.\/\.\.\/\.\.\/\.\.\/etc\/shadow"/);
    assert.deepEqual(registry.requestsOf(/shadow/), []);
  });
  it('with diff IDs that differ from the layers', async () => {
    const config = jsonBlob(image.config.mediaType, {
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`, `sha256:${'1'.repeat(64)}`] },
    });
    registry.putBlob('acme/srv', config.digest, config.bytes);
    put({ ...honest, config: descriptor(config) });
    await refused(/sha256:0{64}/);
  });
  it('with every platform but ours', async () => {
    const names = Array.from({ length: 10_000 }, (_, at) => [`linux/arch${at}`, image.manifest] as const);
    registry.putManifest('acme/srv', 'latest', buildIndex(names));
    await refused(/has no image for linux\/\S+: available are linux\/arch0, .* and 9980 more$/m);
  });
  it('with bad references: nothing is asked for', async () => {
    await refused(/docker distribution creation error: .*lower case/, `docker://${registry.host}/acme/Srv`);
    await refused(/bad digest/, `docker://${registry.host}/acme/srv@sha256:../../x`);
    assert.deepEqual(registry.requests, []);
  });
  it('with a token server of somebody else: it does not get the login', async () => {
    const realm = `http://localhost:${other.host.split(':')[1]}/token`;
    registry.auth = { kind: 'bearer', realm, login: LOGIN };
    other.auth = { kind: 'bearer', login: LOGIN };
    await refused(/unable to retrieve auth token: 401 unauthorized/);
    for (const { headers } of other.requests) assert.equal(headers.authorization, undefined);
  });
  it('that sends to another host: the login stays', async () => {
    registry.auth = { kind: 'basic', ...LOGIN };
    other.put('acme/srv', 'latest', image);
    registry.misbehave(/blobs/, ({ url }, response) => {
      response.writeHead(307, { Location: `${other.url}${url}` });
      response.end();
    });
    await rkt.ok([...FETCH, `docker://${registry.host}/acme/srv`]);
    assert.ok(other.requests.length >= 3);
    for (const { headers } of other.requests) assert.equal(headers.authorization, undefined);
  });
  it('with layers elsewhere: nobody goes there', async () => {
    put({ ...honest, layers: honest.layers.map((layer) => ({ ...layer, urls: [`${other.url}/layer`] })) });
    await rkt.ok([...FETCH, `docker://${registry.host}/acme/srv`]);
    assert.deepEqual(other.requests, []);
  });
  it('with a web page, or far too much of a manifest', async () => {
    registry.misbehave(/manifests/, (_request, response) => end(response, 200, '<html>', 'text/html'));
    await refused(/answers with a web page instead of the manifest/);
    registry.misbehave(/manifests/, (_request, response) => {
      response.writeHead(200, { 'Content-Type': image.manifest.mediaType });
      for (let sent = 0; sent < 20; sent += 1) response.write(Buffer.alloc(1024 * 1024, 0x20));
      response.end();
    });
    await refused(/is larger than 4194304 bytes/);
  });
  it('with words that would paint the terminal', async () => {
    const body = JSON.stringify({ errors: [{ message: '\u001b[2Jowned\nfetch: all is well' }] });
    registry.misbehave(/manifests/, (_request, response) => end(response, 404, body, 'application/json'));
    await refused(/: \\x1b\[2Jowned\\nfetch: all is well$/m);
  });
  it('with labels that look like ours: they mean nothing', async () => {
    const labels = { 'coreos.com/rkt/stage1/run': '/evil', 'appc.io/docker/repository': 'evil/evil' };
    registry.put(
      'acme/srv',
      'latest',
      buildOciImage({
        config: { config: { Cmd: ['/a'], Labels: labels } },
        manifest: { annotations: labels },
      }),
    );
    const { stdout } = await rkt.ok([...FETCH, '--full', `docker://${registry.host}/acme/srv`]);
    const manifest = JSON.parse((await rkt.ok(['image', 'cat-manifest', stdout.trim()])).stdout) as {
      annotations: { name: string; value: string }[];
    };
    const value = (wanted: string): string | undefined =>
      manifest.annotations.find(({ name }) => name === wanted)?.value;
    assert.equal(value('coreos.com/rkt/stage1/run'), undefined);
    assert.equal(value('appc.io/docker/repository'), 'acme/srv');
  });
});
