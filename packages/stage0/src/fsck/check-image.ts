// Checks one image of the store: its blob against its key, its manifest and its row against the blob. Runs in stage0.
//
// The blob is what everything else can be made of again: while it is whole, the rest is restored from it; when it is
// not, the image is dropped, and the next fetch brings it back.

import { openSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { ImageKey } from '@rkt/spec/image-id';
import { type ImageManifest, parseImageManifest, serializeImageManifest } from '@rkt/spec/image-manifest';

import { fileMark, manifestFields, recoverImage } from '../store/recover.ts';
import type { AciInfoRow } from '../store/rows.ts';
import type { ImageStore } from '../store/store.ts';
import { readBlob } from '../treestore/read-blob.ts';
import { type CheckOptions, type Finding, finding, reasonOf } from './finding.ts';

/** How one image is checked. */
export interface ImageCheckOptions extends CheckOptions {
  /** False while the database is damaged: nothing can be asked of it or written to it. */
  readonly hasDatabase: boolean;
}

/** What is wrong with the image `key`, under its lock. @throws KernelError when it may not be looked at or repaired */
export function checkImage(store: ImageStore, key: ImageKey, options: ImageCheckOptions): Finding[] {
  using _lock = store.lockKey(key);
  const hasManifest = store.hasKey(key);
  const row = options.hasDatabase ? store.findRow(key) : undefined;
  const blob = readWhole(store, key);
  // Removed by somebody before we had the lock.
  if ('problem' in blob && blob.isMissing && row === undefined && !hasManifest) return [];
  if ('problem' in blob) {
    const object = blob.isMissing && !hasManifest ? `row ${key}` : `blob ${key}`;
    return [finding(object, blob.problem, options, 'dropped', () => drop(store, key))];
  }
  return [
    ...checkManifest(store, key, blob.manifest, options),
    ...(options.hasDatabase ? checkRow(store, key, row, blob.manifest, options) : []),
  ];
}

type Blob = { readonly manifest: ImageManifest } | { readonly problem: string; readonly isMissing: boolean };

// Opened by hand: looking at an image is no use of it.
function readWhole(store: ImageStore, key: ImageKey): Blob {
  const path = store.blobPath(key);
  try {
    const fd = withKernelErrors(path, () => openSync(path, 'r'));
    return { manifest: parseImageManifest(readBlob(fd, key, undefined), 'manifest in the image') };
  } catch (error) {
    if (hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) throw error;
    if (hasCode(error, 'ENOENT')) return { problem: 'its file is missing', isMissing: true };
    return { problem: reasonOf(error), isMissing: false };
  }
}

function checkManifest(
  store: ImageStore,
  key: ImageKey,
  manifest: ImageManifest,
  options: CheckOptions,
): Finding[] {
  const wanted = serializeImageManifest(manifest);
  const problem = manifestProblem(store, key, wanted);
  if (problem === undefined) return [];
  return [
    finding(`manifest ${key}`, problem, options, 'restored', () => {
      store.writeManifest(key, wanted);
      restoreRow(store, key, manifest);
    }),
  ];
}

function manifestProblem(store: ImageStore, key: ImageKey, wanted: string): string | undefined {
  if (!store.hasKey(key)) return 'its file is missing';
  try {
    return store.manifestFileText(key) === wanted ? undefined : 'it is not the manifest in the image';
  } catch (error) {
    if (hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) throw error;
    return reasonOf(error);
  }
}

function checkRow(
  store: ImageStore,
  key: ImageKey,
  row: AciInfoRow | undefined,
  manifest: ImageManifest,
  options: CheckOptions,
): Finding[] {
  const problem = row === undefined ? 'the database does not have it' : rowProblem(store, row, manifest);
  if (problem === undefined) return [];
  return [finding(`row ${key}`, problem, options, 'restored', () => restoreRow(store, key, manifest))];
}

function rowProblem(store: ImageStore, row: AciInfoRow, manifest: ImageManifest): string | undefined {
  const { key, name, version, sizeBytes } = row;
  const truth = manifestFields(store.data, key, manifest);
  if (name !== truth.name) return `it says the name is ${quote(name)}, the image says ${quote(truth.name)}`;
  // What it says of another manifest file does not count: that one is read then.
  const isCurrent =
    row.manifestFile.sizeBytes === truth.manifestFile.sizeBytes &&
    row.manifestFile.mtimeUs === truth.manifestFile.mtimeUs;
  if (isCurrent && version !== truth.version) {
    return `it says the version is ${quote(version ?? '')}, the image says ${quote(truth.version ?? '')}`;
  }
  const size = fileMark(store.blobPath(key))?.sizeBytes;
  if (size !== undefined && sizeBytes !== size) return `it says ${sizeBytes} bytes, the image has ${size}`;
  return undefined;
}

// What only the row knows (when the image came, that it is the latest) is kept.
function restoreRow(store: ImageStore, key: ImageKey, manifest: ImageManifest): void {
  const told = recoverImage(store.data, key, manifest);
  if (told === undefined) return;
  const { name, version, manifestFile, sizeBytes } = told;
  store.putRow({ ...told, ...store.findRow(key), name, version, manifestFile, sizeBytes });
}

function drop(store: ImageStore, key: ImageKey): void {
  const [failure] = store.removeLocked(key);
  if (failure !== undefined) throw wrap(`cannot delete all files of image ${key}`, failure);
}
