// A fetch context for tests of images in registries, layouts and archives. Runs in the test process.

import { createLogger } from '@rkt/diagnostics/logger';

import { DEFAULT_LIMITS } from '../../unpack/limits.ts';
import { EMPTY_CONFIG } from '../../config/config.ts';
import type { FetchContext } from '../../fetch/context.ts';
import { parseImageReference } from '../../image-ref/parse.ts';
import { TestStore } from '../../store/testing/test-store.ts';
import type { OciImage, OciLayer } from '../oci-image.ts';
import { openImage, type OpenImageOptions } from '../open-image.ts';

/** What a test may set of a context. */
export type ContextOverrides = Partial<Pick<FetchContext, 'config' | 'env'>> & {
  readonly http?: boolean;
  readonly tls?: boolean;
};

/** Opens images with a store of its own; gone with the `using` block. */
export class TestContext implements Disposable {
  readonly #the = new TestStore();
  readonly context: FetchContext;
  /** What was said. */
  readonly log: string[] = [];

  constructor({ http = true, tls = false, config = EMPTY_CONFIG, env = {} }: ContextOverrides = {}) {
    this.context = {
      store: this.#the.store,
      treeStore: this.#the.trees,
      config,
      insecure: {
        image: true,
        tls,
        http,
        onDisk: false,
        pubkey: false,
        capabilities: false,
        paths: false,
        seccomp: false,
      },
      keystore: undefined,
      logger: createLogger({ prefix: 'image', debug: true, write: (text) => this.log.push(text.trimEnd()) }),
      debug: true,
      trustKeysFromHttps: false,
      env,
      cwd: this.#the.tmp.path,
      limits: DEFAULT_LIMITS,
    };
  }

  /** A path in a temporary directory. */
  join(name: string): string {
    return this.#the.tmp.join(name);
  }

  /** Opens an image argument; relative names are those of {@link join}. Does not wait between retries. */
  async open(argument: string, options: OpenImageOptions = {}): Promise<OciImage> {
    const reference = parseImageReference(argument, this.context.cwd);
    switch (reference.kind) {
      case 'docker':
      case 'oci':
      case 'oci-archive':
      case 'docker-archive':
        return await openImage(this.context, reference, {
          wait: () => Promise.resolve(),
          certificateDirectories: [],
          platform: { os: 'linux', architecture: 'amd64' },
          ...options,
        });
      default:
        throw new Error(`${argument} is no image of docker or OCI`);
    }
  }

  /** Opens an image and reads all of its layers. */
  async read(
    argument: string,
    options: OpenImageOptions = {},
  ): Promise<{ image: OciImage; layers: Buffer[] }> {
    const image = await this.open(argument, options);
    try {
      const layers: Buffer[] = [];
      for (const layer of image.layers) layers.push(await readLayer(image, layer));
      return { image, layers };
    } finally {
      await image.close();
    }
  }

  [Symbol.dispose](): void {
    this.#the[Symbol.dispose]();
  }
}

/** All bytes of a layer. */
export async function readLayer(image: OciImage, layer: OciLayer): Promise<Buffer> {
  await using stream = await image.openLayer(layer);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
