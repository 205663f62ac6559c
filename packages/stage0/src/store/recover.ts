// What the files of the store tell of images when the metadata was lost. Runs in stage0.

import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { blobFile, type DataDir, manifestsDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';

import { isKey } from './resolve.ts';
import type { AciInfoRow } from './rows.ts';

/** A row for each image that is whole; times are those of its files. */
export function recoverImages(
  data: DataDir,
  manifestOf: (key: ImageKey) => ImageManifest | undefined,
): AciInfoRow[] {
  const directory = manifestsDir(data);
  return namesIn(directory)
    .flatMap((fanOut) => namesIn(path.join(directory, fanOut)).filter(isKey))
    .flatMap((key) => {
      const blob = statSync(blobFile(data, key), { throwIfNoEntry: false });
      const name = manifestOf(key)?.name;
      if (blob === undefined || name === undefined) return [];
      return [{ key, name, importTime: blob.mtimeMs, latest: false, sizeBytes: blob.size, treeSizeBytes: 0 }];
    });
}

function namesIn(directory: string): string[] {
  try {
    return withKernelErrors(directory, () => readdirSync(directory));
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return [];
    throw error;
  }
}
