// Copies a blob out of the store, checking its hash on the way. Runs in stage0.

import { createHash } from 'node:crypto';
import { closeSync, fchmodSync, openSync, readSync, writeSync } from 'node:fs';

import { withKernelErrors } from '@rkt/linux/errno';
import { imageKey, type ImageKey } from '@rkt/spec/image-id';

import { StoreError } from './errors.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Copies the blob open as `blobFd` (closed here) to `file`. @throws StoreError `damaged`, KernelError */
export function copyBlob(
  blobFd: number,
  key: ImageKey,
  file: string,
  { mode, flags }: { readonly mode: number; readonly flags: 'w' | 'wx' },
): void {
  try {
    withKernelErrors(file, () => {
      const fd = openSync(file, flags, mode);
      try {
        if (flags === 'wx') fchmodSync(fd, mode);
        checkKey(copyBytes(blobFd, fd), key);
      } finally {
        closeSync(fd);
      }
    });
  } finally {
    closeSync(blobFd);
  }
}

function copyBytes(from: number, to: number): string {
  const hash = createHash('sha512');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const length = readSync(from, buffer, 0, CHUNK_BYTES, null);
    if (length === 0) return hash.digest('hex');
    const bytes = buffer.subarray(0, length);
    hash.update(bytes);
    for (let at = 0; at < length;) at += writeSync(to, bytes, at);
  }
}

/** @throws StoreError `damaged` when bytes with this SHA-512 are not the image `key`. */
export function checkKey(sha512: string, key: ImageKey): void {
  const found = imageKey(sha512);
  if (found === key) return;
  throw new StoreError('damaged', `image hash does not match expected (${found} != ${key})`, {
    hint: 'remove the image and fetch it again',
  });
}
