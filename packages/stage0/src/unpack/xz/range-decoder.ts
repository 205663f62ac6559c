// The range coder of LZMA: bits with adaptive probabilities, from one LZMA2 chunk held in memory. Pure; runs in stage0.
//
// After the LZMA specification by Igor Pavlov (public domain).

import { refuse } from '../errors.ts';

const PROBABILITY_START = 1024;
const TOP = 0x100_0000;

/** A new set of probabilities, all even. */
export function probabilities(count: number): Uint16Array {
  return new Uint16Array(count).fill(PROBABILITY_START);
}

/** Decodes bits of the current chunk. */
export class RangeDecoder {
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;

  /** Starts with a chunk of `length` bytes. @throws UnpackError */
  begin(chunk: Uint8Array, length: number): void {
    if (length < 5 || chunk[0] !== 0) refuse('bad-archive', 'xz stream is damaged');
    this.#chunk = chunk;
    this.#at = 5;
    this.#end = length;
    this.#range = 0xffff_ffff;
    this.#code = ((chunk[1]! << 24) | (chunk[2]! << 16) | (chunk[3]! << 8) | chunk[4]!) >>> 0;
  }

  /** All bytes of the chunk were used and nothing is left in the coder. */
  get finished(): boolean {
    return this.#code === 0 && this.#at === this.#end;
  }

  /** One bit, by the probability at `index`. */
  bit(table: Uint16Array, index: number): number {
    const probability = table[index]!;
    const bound = ((this.#range >>> 11) * probability) >>> 0;
    let result: number;
    if (this.#code < bound) {
      this.#range = bound;
      table[index] = probability + ((2048 - probability) >>> 5);
      result = 0;
    } else {
      this.#range = (this.#range - bound) >>> 0;
      this.#code = (this.#code - bound) >>> 0;
      table[index] = probability - (probability >>> 5);
      result = 1;
    }
    if (this.#range < TOP) this.#shift();
    return result;
  }

  /** `count` bits, the most significant first; the table holds a binary tree from `offset`. */
  tree(table: Uint16Array, offset: number, count: number): number {
    let node = 1;
    for (let index = 0; index < count; index += 1) node = (node << 1) | this.bit(table, offset + node);
    return node - (1 << count);
  }

  /** As {@link tree}, the least significant bit first. */
  reverseTree(table: Uint16Array, offset: number, count: number): number {
    let node = 1;
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      const bit = this.bit(table, offset + node);
      node = (node << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  /** `count` bits that are as likely 0 as 1. */
  direct(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code = (this.#code - this.#range) >>> 0;
      value = value * 2 + bit;
      if (this.#range < TOP) this.#shift();
    }
    return value;
  }

  #shift(): void {
    if (this.#at >= this.#end) refuse('bad-archive', 'xz stream is damaged');
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#chunk[this.#at]!) >>> 0;
    this.#at += 1;
  }
}
