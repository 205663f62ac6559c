// The protocol buffer wire format: numbers and lengths as bytes, and back (contract stage1 7.3). Pure. Runs in stage0.
// Reading is on untrusted input: every length is checked against what is there.

import { ApiError } from './errors.ts';

/** How the value behind a tag is delimited. */
export type WireType = (typeof WIRE)[keyof typeof WIRE];
export const WIRE = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const;

const MAX_VARINT_BYTES = 10;
const MAX_UINT32 = 0xffff_ffff;

/** Bytes of a message in the making. */
export class WireWriter {
  #bytes: Buffer = Buffer.allocUnsafe(512);
  #length = 0;

  /** The start of a field. */
  tag(field: number, type: WireType): void {
    this.varint((field << 3) | type);
  }

  /** A number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** A signed number of 64 bits, in two's complement as int32 and int64 want it. */
  varint64(value: bigint): void {
    this.#reserve(MAX_VARINT_BYTES);
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  /** Bytes with their length in front. */
  delimited(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Walks over the bytes of a message. @throws ApiError `malformed` from every method */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  tag(): { readonly field: number; readonly type: WireType } {
    const value = this.varint64();
    const type = Number(value & 7n) as WireType;
    const field = Number(value >> 3n);
    if (field === 0 || value > MAX_UINT32) throw malformed(`a field with number ${field}`);
    return { field, type };
  }

  /** The 64 bits of a number, unsigned. */
  varint64(): bigint {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed('a number that is cut off');
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed('a number of more than ten bytes');
  }

  delimited(): Buffer {
    const length = this.varint64();
    if (length > BigInt(this.#bytes.length - this.#at)) throw malformed('a length beyond the end');
    return this.#take(Number(length));
  }

  /** Passes over a value nobody here knows. */
  skip(type: WireType): void {
    if (type === WIRE.varint) this.varint64();
    else if (type === WIRE.delimited) this.delimited();
    else if (type === WIRE.fixed64) this.#take(8);
    else if (type === WIRE.fixed32) this.#take(4);
    else throw malformed(`a value of wire type ${String(type)}`);
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw malformed('a value that is cut off');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function malformed(what: string): ApiError {
  return new ApiError('malformed', `malformed message: ${what}`);
}
