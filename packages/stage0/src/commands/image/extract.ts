// `rkt image extract` (contract stage0 7.12). Runs in stage0.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { withKernelErrors } from '@rkt/linux/errno';
import { openKernel } from '@rkt/linux/libc';
import { treeManifest, treeRootfs } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImageExtractFlags, Invocation } from '../../cli/requests.ts';
import type { ImageStore } from '../../store/store.ts';
import { readBlob } from '../../treestore/read-blob.ts';
import { TreeWriter } from '../../unpack/tree-writer.ts';
import { openImages, resolveImage } from './open-images.ts';
import { fillDirectory } from './output-directory.ts';

export async function run(invocation: Invocation<ImageExtractFlags>): Promise<number> {
  const [argument = '', directory = ''] = invocation.args;
  const { overwrite, rootfsOnly } = invocation.flags;
  using images = await openImages(invocation);
  const key = resolveImage(images.store, argument);
  const warn = (message: string): void => images.logger.info(message);
  await fillDirectory(directory, overwrite, (partial) => {
    if (rootfsOnly) extractRootfs(images.store, key, partial, warn);
    else extractAll(images.store, key, partial, warn);
  });
  return 0;
}

type Warn = (message: string) => void;

function extractAll(store: ImageStore, key: ImageKey, directory: string, warn: Warn): void {
  const rootfs = treeRootfs(directory);
  withKernelErrors(rootfs, () => {
    mkdirSync(rootfs, { mode: 0o755 });
    chmodSync(rootfs, 0o755);
  });
  const manifest = extractRootfs(store, key, rootfs, warn);
  const file = treeManifest(directory);
  withKernelErrors(path.basename(file), () => writeFileSync(file, manifest, { mode: 0o644 }));
}

function extractRootfs(store: ImageStore, key: ImageKey, rootfs: string, warn: Warn): string {
  const privileged = process.geteuid?.() === 0;
  const writer = new TreeWriter(openKernel(), rootfs, { privileged, digests: false, warn });
  try {
    const manifest = readBlob(store.openBlob(key), key, writer);
    writer.finish();
    return manifest;
  } finally {
    writer.abort();
  }
}
