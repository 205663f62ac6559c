// Decompresses xz: streams, blocks, index and their checks. Pure; runs in stage0.
//
// After "The .xz File Format" 1.1.0. Filters other than LZMA2 (for machine code) are refused: image files are made
// without them.

import { crc32 } from 'node:zlib';

import { ByteSource } from '../byte-source.ts';
import { exceed, refuse } from '../errors.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { blockCheck, checkSize } from './checks.ts';
import { lzma2Chunks } from './lzma2.ts';
import { windowBytes } from './window.ts';

const HEADER_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = Buffer.from('YZ');
const FILTER_LZMA2 = 0x21;
const MIB = 1024 * 1024;

interface BlockRecord {
  readonly unpadded: number;
  readonly uncompressed: number;
}

/** Yields the content of one or several streams; a yielded buffer is valid until the next. @throws UnpackError */
export function* xzChunks(
  pieces: Iterable<Buffer>,
  maxMemoryBytes: number = DEFAULT_LIMITS.maxMemoryBytes,
): Generator<Buffer, void, undefined> {
  const source = new CountingSource(pieces);
  let streams = 0;
  do {
    yield* readStream(source, streams > 0, maxMemoryBytes);
    streams += 1;
    skipStreamPadding(source);
  } while (!source.atEnd());
}

// Counts, and can see what was taken, for the checksums of headers.
class CountingSource extends ByteSource {
  count = 0;
  #recorded: number[] | undefined;

  constructor(pieces: Iterable<Buffer>) {
    super(pieces, 'xz');
  }

  override byte(): number {
    const value = super.byte();
    this.count += 1;
    this.#recorded?.push(value);
    return value;
  }

  override readInto(target: Uint8Array, length: number): void {
    super.readInto(target, length);
    this.count += length;
  }

  record(): void {
    this.#recorded = [];
  }

  recorded(): Buffer {
    const bytes = Buffer.from(this.#recorded ?? []);
    this.#recorded = undefined;
    return bytes;
  }
}

function* readStream(
  source: CountingSource,
  isAnother: boolean,
  maxMemoryBytes: number,
): Generator<Buffer, void, undefined> {
  if (isAnother && source.peek() !== HEADER_MAGIC[0]) damaged('data after the end of the stream');
  const header = source.take(12);
  if (!header.subarray(0, 6).equals(HEADER_MAGIC)) damaged('no header');
  const flags = header.subarray(6, 8);
  if (crc32(flags) !== header.readUInt32LE(8)) damaged('wrong checksum of the header');
  const checkType = streamCheckType(flags);
  const records: BlockRecord[] = [];
  for (;;) {
    const headerSize = source.byte();
    if (headerSize === 0) break;
    records.push(yield* readBlock(source, headerSize, checkType, maxMemoryBytes));
  }
  const indexSize = readIndex(source, records);
  const footer = source.take(12);
  if (!footer.subarray(10).equals(FOOTER_MAGIC)) damaged('no footer');
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) damaged('wrong checksum of the footer');
  if ((footer.readUInt32LE(4) + 1) * 4 !== indexSize) damaged('wrong size of the index');
  if (!footer.subarray(8, 10).equals(flags)) damaged('header and footer differ');
}

function streamCheckType(flags: Buffer): number {
  const [first = 0, second = 0] = flags;
  if (first !== 0 || (second & 0xf0) !== 0) refuse('unsupported', 'xz stream with unknown flags');
  return second & 0x0f;
}

function* readBlock(
  source: CountingSource,
  sizeByte: number,
  checkType: number,
  maxMemoryBytes: number,
): Generator<Buffer, BlockRecord, undefined> {
  const headerSize = (sizeByte + 1) * 4;
  const header = Buffer.concat([Buffer.from([sizeByte]), source.take(headerSize - 1)]);
  if (crc32(header.subarray(0, -4)) !== header.readUInt32LE(headerSize - 4))
    damaged('wrong checksum of a block');
  const { dictionaryBytes, packedSize, size } = parseBlockHeader(header.subarray(1, -4), maxMemoryBytes);
  const check = blockCheck(checkType);
  const start = source.count;
  let uncompressed = 0;
  for (const chunk of lzma2Chunks(source, dictionaryBytes)) {
    check.update(chunk);
    uncompressed += chunk.length;
    yield chunk;
  }
  const packed = source.count - start;
  if (packed !== (packedSize ?? packed) || uncompressed !== (size ?? uncompressed))
    damaged('wrong size of a block');
  for (let at = packed; at % 4 !== 0; at += 1) if (source.byte() !== 0) damaged('bad padding');
  if (!source.take(checkSize(checkType)).equals(check.digest())) damaged('wrong checksum of the content');
  return { unpadded: headerSize + packed + checkSize(checkType), uncompressed };
}

interface BlockHeader {
  readonly dictionaryBytes: number;
  readonly packedSize: number | undefined;
  readonly size: number | undefined;
}

function parseBlockHeader(bytes: Buffer, maxMemoryBytes: number): BlockHeader {
  const source = new ByteSource([bytes.subarray(1)], 'xz');
  const flags = bytes[0] ?? 0;
  if ((flags & 0x3c) !== 0) refuse('unsupported', 'xz stream with unknown flags');
  const packedSize = (flags & 0x40) === 0 ? undefined : readInteger(source);
  const size = (flags & 0x80) === 0 ? undefined : readInteger(source);
  const filters = (flags & 0x03) + 1;
  const filter = readInteger(source);
  if (filters !== 1 || filter !== FILTER_LZMA2) {
    refuse('unsupported', `xz stream with filter 0x${filter.toString(16)}: only lzma2 is supported`);
  }
  if (readInteger(source) !== 1) damaged('bad filter');
  const dictionaryBytes = dictionarySize(source.byte(), maxMemoryBytes);
  while (!source.atEnd()) if (source.byte() !== 0) damaged('bad padding');
  return { dictionaryBytes, packedSize, size };
}

// A dictionary is memory that the archive makes us allocate.
function dictionarySize(code: number, maxMemoryBytes: number): number {
  if (code > 40) damaged('bad dictionary size');
  const bytes = code === 40 ? 0xffff_ffff : (2 | (code & 1)) * 2 ** (Math.floor(code / 2) + 11);
  if (windowBytes(bytes) > maxMemoryBytes) {
    const [needed, allowed] = [bytes, maxMemoryBytes].map((size) => Math.ceil(size / MIB));
    exceed(
      'max-image-memory',
      `xz stream needs ${needed} MiB of memory and room to work, ${allowed} MiB are allowed`,
    );
  }
  return bytes;
}

// Returns the size of the index, which lists the sizes of all blocks.
function readIndex(source: CountingSource, records: readonly BlockRecord[]): number {
  source.record();
  const start = source.count - 1;
  if (readInteger(source) !== records.length) damaged('wrong index');
  for (const { unpadded, uncompressed } of records) {
    if (readInteger(source) !== unpadded || readInteger(source) !== uncompressed) damaged('wrong index');
  }
  while ((source.count - start) % 4 !== 0) if (source.byte() !== 0) damaged('bad padding');
  const crc = crc32(Buffer.concat([Buffer.from([0]), source.recorded()]));
  if (source.take(4).readUInt32LE(0) !== crc) damaged('wrong checksum of the index');
  return source.count - start;
}

function skipStreamPadding(source: CountingSource): void {
  const start = source.count;
  while (source.peek() === 0) source.byte();
  if ((source.count - start) % 4 !== 0) damaged('bad padding');
}

// Seven bits a byte, the least significant first.
function readInteger(source: ByteSource): number {
  let value = 0;
  for (let shift = 0; shift < 63; shift += 7) {
    const byte = source.byte();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      if ((byte === 0 && shift > 0) || !Number.isSafeInteger(value)) damaged('bad number');
      return value;
    }
  }
  return damaged('bad number');
}

function damaged(what: string): never {
  return refuse('bad-archive', `xz stream is damaged: ${what}`);
}
