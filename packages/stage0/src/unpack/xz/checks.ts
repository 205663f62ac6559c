// The integrity checks of xz blocks. Pure; runs in stage0.

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { refuse } from '../errors.ts';

/** The check over the content of one block. */
export interface BlockCheck {
  update(bytes: Buffer): void;
  /** As it stands in the file. */
  digest(): Buffer;
}

/** Bytes of the check of each type (0 to 15). */
export function checkSize(type: number): number {
  return type === 0 ? 0 : 4 << Math.floor((type - 1) / 3);
}

/** The check of type `type`. @throws UnpackError `unsupported` */
export function blockCheck(type: number): BlockCheck {
  switch (type) {
    case 0:
      return { update: () => undefined, digest: () => Buffer.alloc(0) };
    case 1:
      return new Crc32();
    case 4:
      return new Crc64();
    case 10: {
      const hash = createHash('sha256');
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    default:
      return refuse('unsupported', `xz stream with check type ${type}`);
  }
}

class Crc32 implements BlockCheck {
  #crc = 0;

  update(bytes: Buffer): void {
    this.#crc = crc32(bytes, this.#crc);
  }

  digest(): Buffer {
    const digest = Buffer.alloc(4);
    digest.writeUInt32LE(this.#crc);
    return digest;
  }
}

// ECMA-182, reflected; words of 64 bits are pairs of 32.
const POLYNOMIAL_HIGH = 0xc96c_5795 | 0;
const POLYNOMIAL_LOW = 0xd787_0f42 | 0;

const TABLE_HIGH = new Int32Array(256);
const TABLE_LOW = new Int32Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let high = 0;
  let low = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    const carry = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (carry === 1) {
      high ^= POLYNOMIAL_HIGH;
      low ^= POLYNOMIAL_LOW;
    }
  }
  TABLE_HIGH[byte] = high;
  TABLE_LOW[byte] = low;
}

class Crc64 implements BlockCheck {
  #high = -1;
  #low = -1;

  update(bytes: Buffer): void {
    let high = this.#high;
    let low = this.#low;
    for (let at = 0; at < bytes.length; at += 1) {
      const index = (low ^ bytes[at]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ TABLE_LOW[index]!;
      high = (high >>> 8) ^ TABLE_HIGH[index]!;
    }
    this.#high = high;
    this.#low = low;
  }

  digest(): Buffer {
    const digest = Buffer.alloc(8);
    digest.writeInt32LE(~this.#low, 0);
    digest.writeInt32LE(~this.#high, 4);
    return digest;
  }
}
