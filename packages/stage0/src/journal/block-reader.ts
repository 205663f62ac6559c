// Reads pieces of a large file, keeping some of its blocks in memory. Runs in stage0.

import { readSync } from 'node:fs';

const BLOCK_BYTES = 64 * 1024;
const KEPT_BLOCKS = 64;

/** Reads from an open file that nobody shortens. */
export class BlockReader {
  readonly #fd: number;
  readonly #blocks = new Map<number, Buffer>();

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The bytes from `offset` on; fewer than `length` at the end of the file. */
  read(offset: number, length: number): Buffer {
    const first = Math.floor(offset / BLOCK_BYTES);
    const start = offset - first * BLOCK_BYTES;
    if (start + length <= BLOCK_BYTES) return this.#block(first).subarray(start, start + length);
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, this.#readFully(bytes, offset));
  }

  #block(index: number): Buffer {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const filled = block.subarray(0, this.#readFully(block, index * BLOCK_BYTES));
    if (this.#blocks.size >= KEPT_BLOCKS) {
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest);
        break;
      }
    }
    this.#blocks.set(index, filled);
    return filled;
  }

  #readFully(into: Buffer, offset: number): number {
    let length = 0;
    while (length < into.length) {
      const count = readSync(this.#fd, into, length, into.length - length, offset + length);
      if (count === 0) break;
      length += count;
    }
    return length;
  }
}
