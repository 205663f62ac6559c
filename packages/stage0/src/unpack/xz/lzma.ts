// LZMA: literals and matches, decoded into a window. Pure; runs in stage0.
//
// After the LZMA specification by Igor Pavlov (public domain); names follow it.

import { refuse } from '../errors.ts';
import { probabilities, RangeDecoder } from './range-decoder.ts';
import type { Window } from './window.ts';

const POSITION_STATES = 16;
const STATES = 12;
const LENGTH_STATES = 4;
const MIN_MATCH = 2;
const END_POSITION_MODEL = 14;
const ALIGN_BITS = 4;

/** lc, lp and pb. */
export interface LzmaProperties {
  readonly literalContextBits: number;
  readonly literalPositionBits: number;
  readonly positionBits: number;
}

/** @throws UnpackError */
export function parseProperties(byte: number): LzmaProperties {
  const literalContextBits = byte % 9;
  const rest = Math.floor(byte / 9);
  const literalPositionBits = rest % 5;
  const positionBits = Math.floor(rest / 5);
  // LZMA2 allows no more than 4 for the sum.
  if (positionBits > 4 || literalContextBits + literalPositionBits > 4) {
    refuse('bad-archive', 'xz stream is damaged: bad properties');
  }
  return { literalContextBits, literalPositionBits, positionBits };
}

class LengthDecoder {
  readonly #choice = probabilities(2);
  readonly #low = probabilities(POSITION_STATES << 3);
  readonly #middle = probabilities(POSITION_STATES << 3);
  readonly #high = probabilities(256);

  decode(range: RangeDecoder, positionState: number): number {
    if (range.bit(this.#choice, 0) === 0) return range.tree(this.#low, positionState << 3, 3);
    if (range.bit(this.#choice, 1) === 0) return 8 + range.tree(this.#middle, positionState << 3, 3);
    return 16 + range.tree(this.#high, 0, 8);
  }
}

/** The state between the chunks of one stream. */
export class LzmaDecoder {
  readonly #window: Window;
  readonly range: RangeDecoder = new RangeDecoder();
  #properties: LzmaProperties = { literalContextBits: 3, literalPositionBits: 0, positionBits: 2 };
  #literals = probabilities(0);
  #isMatch = probabilities(0);
  #isRepeat = probabilities(0);
  #isRepeat0 = probabilities(0);
  #isRepeat1 = probabilities(0);
  #isRepeat2 = probabilities(0);
  #isLongRepeat0 = probabilities(0);
  #slots = probabilities(0);
  #special = probabilities(0);
  #align = probabilities(0);
  #matchLength = new LengthDecoder();
  #repeatLength = new LengthDecoder();
  #state = 0;
  #repeats: [number, number, number, number] = [0, 0, 0, 0];
  /** Bytes decoded since the dictionary was reset. */
  position = 0;

  constructor(window: Window) {
    this.#window = window;
  }

  /** Starts again, with other properties or the same. */
  reset(properties: LzmaProperties = this.#properties): void {
    this.#properties = properties;
    this.#literals = probabilities(0x300 << (properties.literalContextBits + properties.literalPositionBits));
    this.#isMatch = probabilities(STATES * POSITION_STATES);
    this.#isRepeat = probabilities(STATES);
    this.#isRepeat0 = probabilities(STATES);
    this.#isRepeat1 = probabilities(STATES);
    this.#isRepeat2 = probabilities(STATES);
    this.#isLongRepeat0 = probabilities(STATES * POSITION_STATES);
    this.#slots = probabilities(LENGTH_STATES << 6);
    this.#special = probabilities(1 + 128 - END_POSITION_MODEL);
    this.#align = probabilities(1 << ALIGN_BITS);
    this.#matchLength = new LengthDecoder();
    this.#repeatLength = new LengthDecoder();
    this.#state = 0;
    this.#repeats = [0, 0, 0, 0];
  }

  /** Decodes exactly `count` bytes into the window, which has room for them. @throws UnpackError */
  decode(count: number): void {
    const { range } = this;
    const window = this.#window;
    const end = window.at + count;
    const mask = (1 << this.#properties.positionBits) - 1;
    while (window.at < end) {
      const positionState = (this.position + window.at - (end - count)) & mask;
      if (range.bit(this.#isMatch, (this.#state << 4) + positionState) === 0) {
        this.#literal(this.position + window.at - (end - count));
        continue;
      }
      const length = this.#match(positionState);
      if (length === 0) continue;
      if (window.at + length > end) refuse('bad-archive', 'xz stream is damaged: match too long');
      window.copy(this.#repeats[0] + 1, length);
    }
    this.position += count;
  }

  #literal(position: number): void {
    const { range } = this;
    const window = this.#window;
    const { literalContextBits, literalPositionBits } = this.#properties;
    const previous = window.last(1);
    const low = position & ((1 << literalPositionBits) - 1);
    const context = (low << literalContextBits) + (previous >>> (8 - literalContextBits));
    const offset = 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      let matched = window.last(this.#repeats[0] + 1);
      do {
        const matchBit = (matched >>> 7) & 1;
        matched <<= 1;
        const bit = range.bit(this.#literals, offset + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | range.bit(this.#literals, offset + symbol);
    window.bytes[window.at++] = symbol;
    if (this.#state < 4) this.#state = 0;
    else this.#state -= this.#state < 10 ? 3 : 6;
  }

  // The length of the match at the first of the repeated distances; 0 when a short one was put out already.
  #match(positionState: number): number {
    const { range } = this;
    const state = this.#state;
    if (range.bit(this.#isRepeat, state) === 0) {
      const length = this.#matchLength.decode(range, positionState);
      const [r0, r1, r2] = this.#repeats;
      this.#repeats = [this.#distance(length), r0, r1, r2];
      this.#state = state < 7 ? 7 : 10;
      return length + MIN_MATCH;
    }
    if (range.bit(this.#isRepeat0, state) === 0) {
      if (range.bit(this.#isLongRepeat0, (state << 4) + positionState) === 0) {
        this.#state = state < 7 ? 9 : 11;
        this.#window.copy(this.#repeats[0] + 1, 1);
        return 0;
      }
    } else {
      this.#rotateRepeats(
        range.bit(this.#isRepeat1, state) === 0 ? 1 : 2 + range.bit(this.#isRepeat2, state),
      );
    }
    this.#state = state < 7 ? 8 : 11;
    return this.#repeatLength.decode(range, positionState) + MIN_MATCH;
  }

  #rotateRepeats(index: number): void {
    const [r0, r1, r2, r3] = this.#repeats;
    if (index === 1) this.#repeats = [r1, r0, r2, r3];
    else if (index === 2) this.#repeats = [r2, r0, r1, r3];
    else this.#repeats = [r3, r0, r1, r2];
  }

  #distance(length: number): number {
    const { range } = this;
    const slot = range.tree(this.#slots, Math.min(length, LENGTH_STATES - 1) << 6, 6);
    if (slot < 4) return slot;
    const directBits = (slot >>> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** directBits;
    if (slot < END_POSITION_MODEL) return base + range.reverseTree(this.#special, base - slot, directBits);
    const high = range.direct(directBits - ALIGN_BITS) * 2 ** ALIGN_BITS;
    return base + high + range.reverseTree(this.#align, 0, ALIGN_BITS);
  }
}
