// Makes an image of the store out of an image of the docker and OCI world (contract stage0 5.2, 5.4, 5.5). How often the
// bytes are read and written on the way: docs/decisions/0015. Runs in stage0.

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';

import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { lockDirectory } from '@rkt/linux/file-lock';
import { withKernelErrors } from '@rkt/linux/errno';
import { casTmpDir, STORE_DIR_MODE } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';
import { serializeImageManifest } from '@rkt/spec/image-manifest';

import { refuse } from '../docker/errors.ts';
import type { OciImage, OciLayer } from '../docker/oci-image.ts';
import type { FetchContext } from '../fetch/context.ts';
import { importWithTree } from '../fetch/import-file.ts';
import { blobWriter } from '../store/blob-writer.ts';
import { ensureDirectory } from '../store/directories.ts';
import { readBlob } from '../treestore/read-blob.ts';
import { removeDirectory } from '../treestore/remove-directory.ts';
import type { RootfsSink } from '../unpack/aci-reader.ts';
import { type ArchiveLimits, DEFAULT_LIMITS } from '../unpack/limits.ts';
import { exceed } from '../unpack/errors.ts';
import { AciWriter } from './aci-writer.ts';
import { convertedManifest } from './image-manifest.ts';
import type { UnpackedLayer } from './layer-entries.ts';
import { receiveLayer } from './receive-layer.ts';
import { mergeLayers, writeMerged } from './squash.ts';

/** What conversion needs of {@link FetchContext}. */
export type ConvertContext = Pick<FetchContext, 'store' | 'treeStore' | 'logger'>;

/** How an image is converted. */
export interface ConvertOptions {
  /** Make its tree in the same pass, where trees can be used. True by default. */
  readonly unpack?: boolean;
  readonly limits?: ArchiveLimits;
  /** Called while bytes arrive. */
  readonly progress?: () => void;
}

// As docker does; more would only cost memory.
const LAYERS_AT_ONCE = 3;

/**
 * Brings `image` into the store as one squashed image, and into the tree store. Marked latest if its tag is `latest`.
 * The caller opened the image and closes it, and writes what is remembered of the download (contract stage0 4.9).
 * @throws RktError `error converting docker image to ACI` around DockerError, FetchError, UnpackError, SpecError or
 * KernelError; the store is as before then, but for layers that were verified.
 */
export async function convertImage(
  context: ConvertContext,
  image: OciImage,
  options: ConvertOptions = {},
): Promise<ImageKey> {
  try {
    if (image.layers.length === 0)
      refuse('bad-image', 'backend image had no useful layers: not creating ACI');
    const manifest = serializeImageManifest(convertedManifest(image));
    return (
      (await convertKnown(context, image, manifest, options)) ??
      (await convertLayers(context, image, manifest, options))
    );
  } catch (error) {
    throw wrap('error converting docker image to ACI', error);
  }
}

const UNREADABLE = ['damaged', 'not-found', 'bad-archive', 'unsafe-entry', 'unsupported', 'limit-exceeded'];

// An image of the same layers differs in its manifest alone.
async function convertKnown(
  context: ConvertContext,
  image: OciImage,
  manifest: string,
  options: ConvertOptions,
): Promise<ImageKey | undefined> {
  const { store, logger } = context;
  const same = store.findMadeOf(digestsOf(image));
  if (same === undefined) return undefined;
  try {
    return await importConverted(context, image, manifest, options, (sink) => {
      readBlob(store.openBlob(same), same, sink);
    });
  } catch (error) {
    if (!UNREADABLE.some((code) => hasCode(error, code))) throw error;
    logger.debug(`cannot use image ${same} of the same layers: ${(error as Error).message}`);
    return undefined;
  }
}

async function convertLayers(
  context: ConvertContext,
  image: OciImage,
  manifest: string,
  options: ConvertOptions,
): Promise<ImageKey> {
  const { limits = DEFAULT_LIMITS } = options;
  using scratch = new Scratch(casTmpDir(context.store.data));
  const layers = await receiveLayers(context, image, scratch.directory, options);
  const merged = mergeLayers(layers, limits);
  return await importConverted(context, image, manifest, options, (sink) => writeMerged(merged, sink));
}

/** Base first. A layer that is there twice is received once. */
async function receiveLayers(
  { store }: ConvertContext,
  image: OciImage,
  scratch: string,
  { limits = DEFAULT_LIMITS, progress = () => undefined }: ConvertOptions,
): Promise<UnpackedLayer[]> {
  const received = new Map<string, UnpackedLayer>();
  const wanted = [...new Map(image.layers.map((layer) => [layer.digest, layer])).values()];
  const largest = wanted.reduce<OciLayer | undefined>(
    (most, layer) => (most === undefined || layer.sizeBytes > most.sizeBytes ? layer : most),
    undefined,
  );
  const failed = new AbortController();
  const receiving = {
    data: store.data,
    scratch,
    limits,
    // Nothing more is wanted once one layer has failed.
    progress: () => {
      failed.signal.throwIfAborted();
      progress();
    },
  };
  let next = 0;
  let entries = 0;
  const work = async (): Promise<void> => {
    for (let layer = wanted[next]; layer !== undefined; layer = wanted[next]) {
      const name = String(next);
      next += 1;
      const unpacked = await receiveLayer(image, layer, { ...receiving, name, inThread: layer === largest });
      entries += unpacked.entries;
      if (entries > limits.maxEntries)
        exceed('max-image-entries', `more than ${limits.maxEntries} entries in the layers of the image`);
      received.set(layer.digest, unpacked);
    }
  };
  const workers = Array.from({ length: Math.min(LAYERS_AT_ONCE, wanted.length) }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    // What is on its way must not outlive its scratch directory.
    next = wanted.length;
    failed.abort();
    await Promise.allSettled(workers);
    throw error;
  }
  return image.layers.map(({ digest }) => received.get(digest) as UnpackedLayer);
}

function importConverted(
  context: ConvertContext,
  image: OciImage,
  manifestText: string,
  { unpack = true }: ConvertOptions,
  writeRootfs: (sink: RootfsSink) => void,
): Promise<ImageKey> {
  return importWithTree(context, unpack, ({ rootfs, sync }) =>
    context.store.importArchive(
      async (fd, name) => {
        const blob = blobWriter(fd, name, Number.MAX_SAFE_INTEGER);
        try {
          const aci = new AciWriter(blob, rootfs);
          aci.begin(manifestText);
          writeRootfs(aci);
          aci.end();
          return { manifestText, sha512: blob.finish(), sizeBytes: blob.bytesWritten };
        } catch (error) {
          blob.abort();
          throw error;
        }
      },
      {
        latest: image.reference.tag === 'latest',
        layers: digestsOf(image),
        ...(sync !== undefined && { sync }),
      },
    ),
  );
}

function digestsOf({ layers }: OciImage): string[] {
  return layers.map(({ digest }) => digest);
}

// A directory for the contents of layers; whoever cleans the scratch directory leaves alone what is locked.
class Scratch implements Disposable {
  readonly directory: string;
  readonly #lock: Disposable;

  constructor(parent: string) {
    this.directory = path.join(parent, `convert-${randomBytes(8).toString('hex')}`);
    ensureDirectory(parent);
    withKernelErrors(this.directory, () => mkdirSync(this.directory, { mode: STORE_DIR_MODE & 0o777 }));
    this.#lock = lockDirectory(this.directory, { exclusive: true, wait: true });
  }

  [Symbol.dispose](): void {
    removeDirectory(this.directory);
    this.#lock[Symbol.dispose]();
  }
}
