// Images of registries by pull policy, and what the registry is asked for (contract stage0 4.3, 4.9, 5.2). The registry
// is a few lines here, to count. Runs in the test process.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createLogger } from '@rkt/diagnostics/logger';
import { errorChain } from '@rkt/diagnostics/rkt-error';

import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { loadConfig } from '../config/load.ts';
import { layerTar, sha256, type TestImage, testImage } from '../convert/testing/test-image.ts';
import type { PullPolicy } from '../cli/requests.ts';
import { TestStore } from '../store/testing/test-store.ts';
import type { FetchContext } from './context.ts';
import { fetchContainerImage } from './docker-fetcher.ts';

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** One repository, `a/b`, whose tags all name the image that was put last. */
class CountingRegistry {
  readonly requests: string[] = [];
  readonly #blobs = new Map<string, Buffer>();
  readonly #server: Server;
  #manifest = Buffer.alloc(0);

  constructor() {
    this.#server = createServer((request, response) => {
      const path = request.url ?? '';
      this.requests.push(path);
      response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
      const blob = this.#blobs.get(/^\/v2\/a\/b\/blobs\/(.*)$/.exec(path)?.[1] ?? '');
      if (path === '/v2/') response.end('{}');
      else if (path.startsWith('/v2/a/b/manifests/'))
        response.setHeader('Content-Type', MANIFEST_TYPE).end(this.#manifest);
      else if (blob !== undefined) response.end(blob);
      else response.writeHead(404).end();
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  put(image: TestImage): void {
    const put = (bytes: Buffer, mediaType: string): { mediaType: string; digest: string; size: number } => {
      this.#blobs.set(sha256(bytes), bytes);
      return { mediaType, digest: sha256(bytes), size: bytes.length };
    };
    const { os, architecture, rootfs } = image.config;
    const config = JSON.stringify({
      os,
      architecture,
      config: {},
      rootfs: { type: 'layers', diff_ids: rootfs.diffIds },
    });
    this.#manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: put(Buffer.from(config), 'application/vnd.oci.image.config.v1+json'),
        layers: image.layers.map(({ digest, mediaType }) =>
          put(image.blobs.get(digest) ?? Buffer.alloc(0), mediaType),
        ),
      }),
    );
  }

  /** What was asked for since the last time, the root of the protocol left out. */
  asked(): string[] {
    return this.requests.splice(0).flatMap((path) => /^\/v2\/a\/b\/(manifests|blobs)/.exec(path)?.[1] ?? []);
  }
}

describe('images of registries', () => {
  let the: TestStore;
  let registry: CountingRegistry;
  let host: string;
  let context: FetchContext;
  beforeEach(async () => {
    the = new TestStore();
    registry = new CountingRegistry();
    host = await registry.start();
    const none = the.tmp.path;
    context = {
      store: the.store,
      treeStore: the.trees,
      config: loadConfig({ systemConfig: none, localConfig: none, userConfig: '' } as Parameters<
        typeof loadConfig
      >[0]),
      insecure: { image: true, http: true } as FetchContext['insecure'],
      logger: createLogger({ prefix: 'image', debug: true, write: (text) => the.log.push(text) }),
      debug: true,
      keystore: undefined,
      trustKeysFromHttps: false,
      env: {},
      cwd: none,
      limits: DEFAULT_LIMITS,
    };
    registry.put(testImage([layerTar([{ name: 'a', content: '1' }]), layerTar([{ name: 'b' }])]));
  });
  afterEach(() => {
    registry.stop();
    the[Symbol.dispose]();
  });

  const fetch = (pullPolicy: PullPolicy, reference = `${host}/a/b:1`): Promise<string> =>
    fetchContainerImage(context, { kind: 'docker', reference }, { pullPolicy, unpack: false });

  it('are fetched once, unless their policy is to ask', async () => {
    const key = await fetch('new');
    assert.deepEqual(registry.asked(), ['manifests', 'blobs', 'blobs', 'blobs']);
    assert.equal(await fetch('new'), key);
    assert.equal(await fetch('never'), key);
    assert.deepEqual(registry.asked(), []);
    assert.ok(
      the.log.some((line) => line.includes(`using image from local store for url docker://${host}/a/b:1`)),
    );
  });

  it('cost one manifest when their tag has not changed', async () => {
    const key = await fetch('update');
    registry.asked();
    assert.equal(await fetch('update'), key);
    assert.deepEqual(registry.asked(), ['manifests']);
  });

  it('cost what is new of them when it has', async () => {
    const key = await fetch('update');
    registry.put(testImage([layerTar([{ name: 'a', content: '1' }]), layerTar([{ name: 'c' }])]));
    registry.asked();
    const other = await fetch('update');
    assert.notEqual(other, key);
    assert.deepEqual(registry.asked(), ['manifests', 'blobs', 'blobs']);
    assert.equal(the.store.findRemote(`docker://${host}/a/b:1`)?.key, other);
  });

  it('are remembered by what was typed, and forgotten with the image', async () => {
    const key = await fetch('new');
    assert.equal(the.store.findRemote(`docker://${host}/a/b`), undefined);
    const latest = await fetch('new', `${host}/a/b`);
    assert.notEqual(latest, key);
    assert.deepEqual(
      the.store
        .list()
        .map((row) => [row.key === latest, row.latest])
        .sort(),
      [
        [false, false],
        [true, true],
      ],
    );
    the.store.remove(key);
    assert.equal(the.store.findRemote(`docker://${host}/a/b:1`), undefined);
    registry.asked();
    await fetch('new');
    // Its layers are those of the other image: none is fetched.
    assert.deepEqual(registry.asked(), ['manifests', 'blobs']);
  });

  it('are refused while nobody has said that nothing verifies them', async () => {
    context = { ...context, insecure: { ...context.insecure, image: false } };
    await assert.rejects(fetch('new'), {
      message: 'signature verification for docker images is not supported (try --insecure-options=image)',
    });
    assert.deepEqual(registry.asked(), []);
  });

  it('are named when they cannot be had', async () => {
    await assert.rejects(
      fetch('never'),
      /^RktError: unable to fetch docker image from URL "docker:\/\/127.*: not in the store/,
    );
    registry.put(testImage([layerTar([{ name: 'a' }])], { diffIds: [`sha256:${'0'.repeat(64)}`] }));
    await assert.rejects(fetch('new'), (error) => {
      const chain = errorChain(error).map(({ message }) => message);
      assert.match(chain[0] ?? '', /^unable to fetch docker image from URL "docker:\/\//);
      assert.equal(chain[1], 'error converting docker image to ACI');
      assert.match(chain[2] ?? '', /^layer sha256:/);
      return true;
    });
    assert.deepEqual(the.store.list(), []);
  });
});
