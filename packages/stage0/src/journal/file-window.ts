// Reads a file that others write to, in blocks that are kept while it is not refreshed. Runs in stage0.
//
// A journal is not mapped into memory, as journald does: a pod that cuts its file short would end us with SIGBUS.

import { fstatSync, readSync } from 'node:fs';

import { JournalError } from './errors.ts';

const BLOCK_BYTES = 64 * 1024;
const MOST_BLOCKS = 32;

/** The bytes of one open file. */
export class FileWindow {
  readonly #fd: number;
  readonly #blocks = new Map<number, Buffer>();

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Forgets what was read: the file may have changed. */
  refresh(): void {
    this.#blocks.clear();
  }

  /** Bytes that the file has now. */
  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** `length` bytes at `offset`; not to be changed. @throws JournalError `damaged` when the file ends before */
  bytes(offset: number, length: number): Buffer {
    const number = Math.floor(offset / BLOCK_BYTES);
    const start = offset - number * BLOCK_BYTES;
    const found = start + length <= BLOCK_BYTES ? this.#block(number) : undefined;
    const bytes = found?.subarray(start, start + length) ?? this.#read(offset, length);
    if (bytes.length === length) return bytes;
    throw new JournalError('damaged', `it ends before byte ${offset + length}`);
  }

  #block(number: number): Buffer {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const block = this.#read(number * BLOCK_BYTES, BLOCK_BYTES);
    if (this.#blocks.size >= MOST_BLOCKS) {
      // The oldest; entries and what belongs to them stand near each other.
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest);
        break;
      }
    }
    this.#blocks.set(number, block);
    return block;
  }

  #read(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#fd, buffer, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return buffer.subarray(0, done);
  }
}
