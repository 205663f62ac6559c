// What the files of the store tell of images when the metadata was lost. Runs in stage0.

import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { blobFile, type DataDir, imageManifestFile, manifestsDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import { labelValue } from '@rkt/spec/labels';

import { isKey } from './resolve.ts';
import type { AciInfoRow, FileMark } from './rows.ts';

/** A row for each image that is whole; times are those of its files. */
export function recoverImages(
  data: DataDir,
  manifestOf: (key: ImageKey) => ImageManifest | undefined,
): AciInfoRow[] {
  const directory = manifestsDir(data);
  return namesIn(directory)
    .flatMap((fanOut) => namesIn(path.join(directory, fanOut)).filter(isKey))
    .flatMap((key) => {
      const manifest = manifestOf(key);
      return manifest === undefined ? [] : (recoverImage(data, key, manifest) ?? []);
    });
}

/** The row of one image as its files tell it; undefined without a blob. */
export function recoverImage(data: DataDir, key: ImageKey, manifest: ImageManifest): AciInfoRow | undefined {
  const blob = statSync(blobFile(data, key), { throwIfNoEntry: false });
  if (blob === undefined) return undefined;
  return {
    key,
    importTime: blob.mtimeMs,
    latest: false,
    sizeBytes: blob.size,
    treeSizeBytes: 0,
    ...manifestFields(data, key, manifest),
  };
}

/** What a row repeats of the manifest, so that a list need not read it. */
export function manifestFields(
  data: DataDir,
  key: ImageKey,
  { name, labels }: ImageManifest,
): Pick<AciInfoRow, 'name' | 'version' | 'manifestFile'> {
  const manifestFile = fileMark(imageManifestFile(data, key)) ?? { sizeBytes: 0, mtimeUs: 0 };
  return { name, version: labelValue(labels, 'version'), manifestFile };
}

/** Undefined when there is no such file. */
export function fileMark(file: string): FileMark | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats && { sizeBytes: stats.size, mtimeUs: Math.round(stats.mtimeMs * 1000) };
}

function namesIn(directory: string): string[] {
  try {
    return withKernelErrors(directory, () => readdirSync(directory));
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return [];
    throw error;
  }
}
