// Canonical Huffman codes of bzip2 blocks. Pure; runs in stage0.

import { refuse } from '../errors.ts';
import type { BitSource } from './bit-source.ts';

const MAX_LENGTH = 20;

/** Decodes the symbols of one code. */
export class HuffmanCode {
  readonly #shortest: number;
  /** The largest code of each length, -1 where there is none. */
  readonly #limit = new Int32Array(MAX_LENGTH + 1).fill(-1);
  /** What to subtract from a code of each length to get its place in `symbols`. */
  readonly #base = new Int32Array(MAX_LENGTH + 1);
  readonly #symbols: Uint16Array;

  /** @param lengths Bits of the code of each symbol, 1 to 20. */
  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length);
    let code = 0;
    let place = 0;
    let shortest = MAX_LENGTH;
    for (let length = 1; length <= MAX_LENGTH; length += 1) {
      this.#base[length] = code - place;
      for (let symbol = 0; symbol < lengths.length; symbol += 1) {
        if (lengths[symbol] !== length) continue;
        this.#symbols[place] = symbol;
        this.#limit[length] = code;
        shortest = Math.min(shortest, length);
        place += 1;
        code += 1;
      }
      if (code > 1 << length) refuse('bad-archive', 'bzip2 stream is damaged: impossible code');
      code <<= 1;
    }
    this.#shortest = shortest;
  }

  /** The next symbol. @throws UnpackError */
  decode(bits: BitSource): number {
    let length = this.#shortest;
    let code = bits.read(length);
    for (;;) {
      const limit = this.#limit[length] as number;
      if (limit >= 0 && code <= limit) {
        return this.#symbols[code - (this.#base[length] as number)] as number;
      }
      length += 1;
      if (length > MAX_LENGTH) refuse('bad-archive', 'bzip2 stream is damaged: no such code');
      code = (code << 1) | bits.read(1);
    }
  }
}
