// Bytes that come in pieces, taken as a decoder needs them. Pure; runs in stage0.

import { refuse } from './errors.ts';

/** Reads from an iterable of pieces. */
export class ByteSource {
  readonly #pieces: Iterator<Buffer>;
  readonly #format: string;
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @param format For messages, e.g. `xz`. */
  constructor(pieces: Iterable<Buffer>, format: string) {
    this.#pieces = pieces[Symbol.iterator]();
    this.#format = format;
  }

  /** Whether there is nothing left. */
  atEnd(): boolean {
    return this.#at === this.#piece.length && !this.#next();
  }

  /** The next byte without taking it; undefined at the end. */
  peek(): number | undefined {
    return this.atEnd() ? undefined : this.#piece[this.#at];
  }

  /** The next byte. @throws UnpackError `bad-archive` at the end */
  byte(): number {
    if (this.#at === this.#piece.length && !this.#next()) return this.cut();
    const value = this.#piece[this.#at] as number;
    this.#at += 1;
    return value;
  }

  /** Fills `target` with the next `length` bytes. @throws UnpackError `bad-archive` at the end */
  readInto(target: Uint8Array, length: number): void {
    for (let filled = 0; filled < length;) {
      if (this.#at === this.#piece.length && !this.#next()) this.cut();
      const count = Math.min(length - filled, this.#piece.length - this.#at);
      target.set(this.#piece.subarray(this.#at, this.#at + count), filled);
      this.#at += count;
      filled += count;
    }
  }

  /** The next `length` bytes in memory of their own. */
  take(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    this.readInto(bytes, length);
    return bytes;
  }

  /** Refuses the stream because it ends too early. */
  cut(): never {
    return refuse('bad-archive', `${this.#format} stream is cut`);
  }

  #next(): boolean {
    for (;;) {
      const { done, value } = this.#pieces.next();
      if (done === true) return false;
      if (value.length === 0) continue;
      this.#piece = value;
      this.#at = 0;
      return true;
    }
  }
}
