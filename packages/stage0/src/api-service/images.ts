// Images as the API shows them (contract stage1 7.4). An image never changes, so its manifest is read once. Reads
// only. Runs in stage0.

import { existsSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { casDir, type DataDir } from '@rkt/pod-layout/data-dir';
import { APPC_VERSION } from '@rkt/spec/appc-version';
import type { ImageKey } from '@rkt/spec/image-id';
import { labelValue } from '@rkt/spec/labels';

import { type AciInfo, type ImageStore, openStore } from '../store/store.ts';
import { BoundedMap } from './bounded-map.ts';
import { ApiError } from './errors.ts';
import { keyValues } from './key-values.ts';
import { type Image, IMAGE_TYPE } from './v1alpha.ts';

const REMEMBERED_IMAGES = 2048;
const NO_BYTES = Buffer.alloc(0);

type StaticPart = Pick<Image, 'name' | 'version' | 'annotations' | 'labels'>;

/** The images of one data directory. */
export class Images {
  readonly #data: DataDir;
  readonly #logger: Logger;
  readonly #staticParts = new BoundedMap<ImageKey, StaticPart>(REMEMBERED_IMAGES);

  constructor(data: DataDir, logger: Logger) {
    this.#data = data;
    this.#logger = logger;
  }

  /**
   * The images that `matches`; those that cannot be read are left out.
   * @param detail With their manifests.
   */
  list(matches: (image: Image) => boolean, detail: boolean): Image[] {
    using store = this.#open();
    if (store === undefined) return [];
    return store.list().flatMap((info) => {
      try {
        const image = this.#show(store, info);
        if (!matches(image)) return [];
        return [detail ? withManifest(store, image) : image];
      } catch (error) {
        this.#logger.debug(`image ${info.key}: ${(error as Error).message}`);
        return [];
      }
    });
  }

  /** The image with this whole ID, with its manifest. @throws ApiError `not-found`, StoreError */
  inspect(id: string): Image {
    using store = this.#open();
    const info = store?.list().find(({ key }) => key === id);
    if (store === undefined || info === undefined) {
      throw new ApiError('not-found', `image ${quote(id)} is not in the store`);
    }
    return withManifest(store, this.#show(store, info));
  }

  // For one request only, as whoever wants to lock the store must not wait for the service. A data directory without a
  // store stays as it is.
  #open(): ImageStore | undefined {
    return existsSync(casDir(this.#data)) ? openStore(this.#data, { logger: this.#logger }) : undefined;
  }

  #show(store: ImageStore, { key, importTime, sizeBytes, treeSizeBytes }: AciInfo): Image {
    return {
      base_format: { type: IMAGE_TYPE.IMAGE_TYPE_APPC, version: APPC_VERSION },
      id: key,
      ...this.#staticPart(store, key),
      import_timestamp: BigInt(Math.floor(importTime / 1000)),
      manifest: NO_BYTES,
      size: BigInt(sizeBytes + treeSizeBytes),
    };
  }

  #staticPart(store: ImageStore, key: ImageKey): StaticPart {
    const known = this.#staticParts.get(key);
    if (known !== undefined && store.hasKey(key)) return known;
    const { name, labels, annotations } = store.readManifest(key);
    const part = {
      name,
      version: labelValue(labels, 'version') ?? 'latest',
      annotations: keyValues(annotations),
      labels: keyValues(labels),
    };
    this.#staticParts.set(key, part);
    return part;
  }
}

function withManifest(store: ImageStore, image: Image): Image {
  return { ...image, manifest: Buffer.from(store.readManifestText(image.id), 'utf8') };
}
