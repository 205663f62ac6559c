// Copies the contents of files, by the kernel where it can. Runs in stage0, in any of its threads.

import { ftruncateSync, readSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { SEEK_DATA, SEEK_HOLE } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';

import { writeFully } from '../unpack/write-fully.ts';

const BUFFER_BYTES = 1024 * 1024;

/** One file, open on both sides; the target is empty. */
export interface OpenFiles {
  readonly from: number;
  readonly to: number;
  readonly sizeBytes: number;
  readonly hasHoles: boolean;
}

/** Remembers what the kernel refused. */
export class FileContents {
  readonly #kernel: Kernel;
  #kernelCopies = true;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Holes stay holes. @throws KernelError, or node's errors */
  copy({ from, to, sizeBytes, hasHoles }: OpenFiles): void {
    if (hasHoles) {
      for (const { start, end } of dataOf(this.#kernel, from, sizeBytes))
        this.#copyRange(from, to, start, end);
      ftruncateSync(to, sizeBytes);
    } else if (sizeBytes > 0) {
      this.#copyRange(from, to, 0, sizeBytes);
    }
  }

  #copyRange(from: number, to: number, start: number, end: number): void {
    let position = start;
    while (this.#kernelCopies && position < end) {
      const copied = this.#tryCopy(from, to, position, end - position);
      // The file became shorter.
      if (copied === 0) return;
      position += copied ?? 0;
    }
    if (position < end) copyBytes(from, to, position, end);
  }

  // Undefined where the kernel or the two file systems cannot: from then on the bytes pass through us.
  #tryCopy(from: number, to: number, position: number, length: number): number | undefined {
    try {
      return this.#kernel.copyFileRange(from, position, to, position, length);
    } catch (error) {
      if (!['EXDEV', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EPERM'].some((code) => hasCode(error, code)))
        throw error;
      this.#kernelCopies = false;
      return undefined;
    }
  }
}

function copyBytes(from: number, to: number, start: number, end: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, end - start));
  for (let position = start; position < end;) {
    const length = readSync(from, buffer, 0, Math.min(buffer.length, end - position), position);
    if (length === 0) return;
    writeFully(to, buffer.subarray(0, length), position);
    position += length;
  }
}

/** The parts of a file that are no holes. */
function* dataOf(kernel: Kernel, fd: number, sizeBytes: number): Generator<{ start: number; end: number }> {
  for (let end = 0; end < sizeBytes;) {
    let start: number;
    try {
      start = kernel.seek(fd, end, SEEK_DATA);
    } catch (error) {
      // Nothing but a hole up to the end.
      if (hasCode(error, 'ENXIO')) return;
      throw error;
    }
    end = kernel.seek(fd, start, SEEK_HOLE);
    yield { start, end };
  }
}
