// Reads a blob of the store as an image, checking its hash on the way (contract stage0 7.6). Runs in stage0.

import { createHash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';

import type { ImageKey } from '@rkt/spec/image-id';

import { checkKey } from '../store/copy-blob.ts';
import { AciReader, type RootfsSink } from '../unpack/aci-reader.ts';
import { STORED_LIMITS } from '../unpack/limits.ts';
import { TarReader } from '../unpack/tar-reader.ts';

const CHUNK_BYTES = 1024 * 1024;

/**
 * Hands the files of the blob open as `fd` to `rootfs`, if somebody wants them; closes `fd`.
 * @returns the text of the manifest in the blob.
 * @throws StoreError `damaged`, UnpackError
 */
export function readBlob(fd: number, key: ImageKey, rootfs: RootfsSink | undefined): string {
  try {
    const aci = new AciReader(rootfs, STORED_LIMITS);
    const tar = new TarReader(aci, STORED_LIMITS);
    const hash = createHash('sha512');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let length = readSync(fd, buffer, 0, CHUNK_BYTES, null); length > 0;) {
      const bytes = buffer.subarray(0, length);
      hash.update(bytes);
      tar.write(bytes);
      length = readSync(fd, buffer, 0, CHUNK_BYTES, null);
    }
    tar.end();
    checkKey(hash.digest('hex'), key);
    return aci.manifestText();
  } finally {
    closeSync(fd);
  }
}
