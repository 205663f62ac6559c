// One 512 byte block of a tar archive as fields. Pure; runs in stage0.
//
// node-tar's Header checks the block and decodes its numbers. Names are taken from the raw bytes: Header makes text
// of them, and a name that is not UTF-8 would come out as another name. It also ignores the device numbers and
// holes of GNU archives.

import { Header } from 'tar/header';

import { refuse } from './errors.ts';
import { tarNumber } from './tar-number.ts';

export const BLOCK_BYTES = 512;

/** A header block, nothing applied from other headers yet. */
export interface TarHeader {
  /** The type flag, `0` for the NUL of old archives. */
  readonly type: string;
  readonly name: Buffer;
  readonly linkName: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow in the archive. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

/**
 * The fields of `block`; undefined for a block of zeros.
 * @throws UnpackError `bad-archive`
 */
export function parseTarHeader(block: Buffer, where: string): TarHeader | undefined {
  const header = decodeBlock(block, where);
  if (header.nullBlock && block.every((byte) => byte === 0)) return undefined;
  if (!header.cksumValid)
    refuse('bad-archive', `not a tar archive, or a damaged one: bad header checksum ${where}`);
  const { mode = 0, mtime } = header;
  // Header takes what looks like a number at the start of the text; where it matters, all of it must be one.
  const uid = tarNumber(block, 108, 8);
  const gid = tarNumber(block, 116, 8);
  const size = tarNumber(block, 124, 12);
  if (uid === undefined || gid === undefined) refuse('bad-archive', `bad owner in the tar header ${where}`);
  if (size === undefined || size < 0) refuse('bad-archive', `bad size in the tar header ${where}`);
  return {
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0x30),
    name: fullName(block),
    linkName: bytesUntilNul(block, 157, 100),
    mode: mode & 0o7777,
    uid,
    gid,
    size,
    mtime: mtime === undefined ? 0 : mtime.getTime() / 1000,
    devMajor: tarNumber(block, 329, 8) ?? 0,
    devMinor: tarNumber(block, 337, 8) ?? 0,
  };
}

function decodeBlock(block: Buffer, where: string): Header {
  try {
    return new Header(block, 0);
  } catch {
    return refuse('bad-archive', `number out of range in the tar header ${where}`);
  }
}

// POSIX archives split long names. star uses the end of the prefix for times; GNU uses all of it for other things.
function fullName(block: Buffer): Buffer {
  const name = bytesUntilNul(block, 0, 100);
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  if (!isPosix || block[345] === 0) return name;
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = bytesUntilNul(block, 345, isStar ? 131 : 155);
  return Buffer.concat([prefix, SLASH, name]);
}

const SLASH = Buffer.from('/');

function bytesUntilNul(block: Buffer, offset: number, length: number): Buffer {
  const end = block.indexOf(0, offset);
  // A copy: the block belongs to the stream.
  return Buffer.from(block.subarray(offset, end === -1 || end > offset + length ? offset + length : end));
}
