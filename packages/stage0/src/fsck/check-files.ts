// Finds what lies in the directories of the image store and is none of its objects. Runs in stage0.

import { lstatSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

import { printable } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { blobFile, blobsDir, type DataDir, imageManifestFile, manifestsDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import { strayLayers } from '../convert/layer-store.ts';
import { isKey } from '../store/resolve.ts';
import { abandonedScratch } from '../store/scratch.ts';
import { removeDirectory } from '../treestore/remove-directory.ts';
import { type CheckOptions, type Finding, finding } from './finding.ts';

/** The files of the store, sorted into objects and the rest. */
export interface StoreFiles {
  /** Of images with a blob, a manifest or both. */
  readonly keys: ReadonlySet<ImageKey>;
  /** Absolute paths. */
  readonly strays: readonly string[];
}

/** Lists the directories of blobs and manifests. @throws KernelError */
export function listStoreFiles(data: DataDir): StoreFiles {
  const keys = new Set<ImageKey>();
  const strays: string[] = [];
  for (const [directory, fileOf] of [
    [blobsDir(data), blobFile],
    [manifestsDir(data), imageManifestFile],
  ] as const) {
    for (const fanOut of namesIn(directory)) {
      const below = path.join(directory, fanOut);
      const names = lstatSync(below, { throwIfNoEntry: false })?.isDirectory() ? namesIn(below) : undefined;
      if (names === undefined) strays.push(below);
      for (const name of names ?? []) {
        const file = path.join(below, name);
        if (isKey(name) && fileOf(data, name) === file) keys.add(name);
        else strays.push(file);
      }
    }
  }
  return { keys, strays: [...strays, ...strayLayers(data)] };
}

/** Files under names that the store does not use. */
export function checkStrays(data: DataDir, strays: readonly string[], options: CheckOptions): Finding[] {
  return strays.map((file) =>
    finding(
      `stray ${printable(path.relative(data, file))}`,
      'the store has no such file',
      options,
      'dropped',
      () => removeAny(file),
    ),
  );
}

/** What killed commands left behind; interrupted downloads are no harm, as they are resumed. @throws KernelError */
export function checkScratch(data: DataDir, options: CheckOptions): Finding[] {
  return Array.from(abandonedScratch(data, Number.POSITIVE_INFINITY), ({ name, remove }) =>
    finding(
      `scratch ${printable(name)}`,
      'left behind by a command that was killed',
      options,
      'dropped',
      remove,
    ),
  );
}

function removeAny(file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory()) removeDirectory(file);
  else withKernelErrors(file, () => rmSync(file, { force: true }));
}

function namesIn(directory: string): string[] {
  try {
    return withKernelErrors(directory, () => readdirSync(directory)).sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
