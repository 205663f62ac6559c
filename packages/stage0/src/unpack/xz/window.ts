// The last bytes a decoder put out, to copy from. Pure; runs in stage0.

import { refuse } from '../errors.ts';

// The more room, the less often the window slides.
const MAX_ROOM_BYTES = 16 * 1024 * 1024;

/** Bytes that a {@link Window} allocates for a dictionary of `size` bytes. */
export function windowBytes(size: number, room = 0): number {
  return size + Math.max(room, Math.min(size, MAX_ROOM_BYTES));
}

/** A buffer of the dictionary and what is new in front of it; slides when it is full. */
export class Window {
  readonly #size: number;
  readonly bytes: Uint8Array;
  /** Where the next byte goes. */
  at = 0;
  #start = 0;

  /** @param size Bytes of the dictionary. @param room Bytes that one step may add. */
  constructor(size: number, room: number) {
    this.#size = size;
    this.bytes = new Uint8Array(windowBytes(size, room));
  }

  /** Makes room for `count` more bytes. What was put out before must have been taken. */
  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const kept = Math.min(this.#size, this.at - this.#start);
    this.bytes.copyWithin(0, this.at - kept, this.at);
    this.#start = 0;
    this.at = kept;
  }

  /** Forgets everything. */
  reset(): void {
    this.#start = this.at;
  }

  /** The byte `distance` back, 0 when there is none. */
  last(distance: number): number {
    return this.at - distance < this.#start ? 0 : this.bytes[this.at - distance]!;
  }

  /** Repeats `length` bytes from `distance` back. @throws UnpackError */
  copy(distance: number, length: number): void {
    if (distance > this.#size || distance > this.at - this.#start) {
      refuse('bad-archive', 'xz stream is damaged: reference before the start');
    }
    let from = this.at - distance;
    const { bytes } = this;
    if (distance >= length) {
      bytes.copyWithin(this.at, from, from + length);
      this.at += length;
      return;
    }
    for (let count = 0; count < length; count += 1) bytes[this.at++] = bytes[from++]!;
  }
}
