// Reads a blob of the store as an image, checking its hash on the way (contract stage0 7.6). Runs in stage0.

import { createHash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';

import { imageKey, type ImageKey } from '@rkt/spec/image-id';

import { StoreError } from '../store/errors.ts';
import { AciReader, type RootfsSink } from '../unpack/aci-reader.ts';
import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { TarReader } from '../unpack/tar-reader.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Hands the files of the blob open as `fd` to `rootfs`; closes `fd`. @throws StoreError `damaged`, UnpackError */
export function readBlob(fd: number, key: ImageKey, rootfs: RootfsSink): void {
  try {
    const tar = new TarReader(new AciReader(rootfs, DEFAULT_LIMITS), DEFAULT_LIMITS);
    const hash = createHash('sha512');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let length = readSync(fd, buffer, 0, CHUNK_BYTES, null); length > 0;) {
      const bytes = buffer.subarray(0, length);
      hash.update(bytes);
      tar.write(bytes);
      length = readSync(fd, buffer, 0, CHUNK_BYTES, null);
    }
    tar.end();
    const found = imageKey(hash.digest('hex'));
    if (found === key) return;
    throw new StoreError('damaged', `image hash does not match expected (${found} != ${key})`, {
      hint: 'remove the image and fetch it again',
    });
  } finally {
    closeSync(fd);
  }
}
