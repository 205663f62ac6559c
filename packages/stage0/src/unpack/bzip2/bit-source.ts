// Bits of a byte source, the most significant first. Pure; runs in stage0.

import type { ByteSource } from '../byte-source.ts';

/** Up to 24 bits at a time. */
export class BitSource {
  readonly #bytes: ByteSource;
  #bits = 0;
  #count = 0;

  constructor(bytes: ByteSource) {
    this.#bytes = bytes;
  }

  /** The next `count` bits as a number. @throws UnpackError at the end */
  read(count: number): number {
    while (this.#count < count) {
      this.#bits = (this.#bits << 8) | this.#bytes.byte();
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }

  bit(): boolean {
    return this.read(1) === 1;
  }

  /** 32 bits as an unsigned number. */
  word(): number {
    return this.read(16) * 0x1_0000 + this.read(16);
  }

  /** Drops what is left of the current byte. */
  align(): void {
    this.#count = 0;
    this.#bits = 0;
  }
}
