// A file without a name, for bytes that have to be seen as a whole before they are used. Runs in stage0.

import { closeSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';

import { withKernelErrors } from '@rkt/linux/errno';
import { casTmpDir, type DataDir, STORE_FILE_MODE } from '@rkt/pod-layout/data-dir';

import { ensureDirectory } from '../store/directories.ts';
import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { writeFully } from '../unpack/write-fully.ts';
import { refuse } from './errors.ts';

/** Writes `bytes` into a new file of the store's scratch directory; it is gone when the descriptor is closed. */
export async function scratchFile(
  data: DataDir,
  bytes: AsyncIterable<Uint8Array>,
  what: string,
): Promise<number> {
  ensureDirectory(casTmpDir(data));
  const file = path.join(casTmpDir(data), `docker-${randomUUID()}`);
  const fd = withKernelErrors(file, () => openSync(file, 'wx+', STORE_FILE_MODE));
  try {
    rmSync(file);
    let written = 0;
    for await (const chunk of bytes) {
      if (written + chunk.length > DEFAULT_LIMITS.maxFileBytes) {
        refuse('bad-image', `${what} has more than ${DEFAULT_LIMITS.maxFileBytes} bytes`);
      }
      withKernelErrors(file, () => writeFully(fd, chunk as Buffer, written));
      written += chunk.length;
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
