// Decompresses bzip2, block by block: at most 900,000 bytes and their places are in memory. Pure; runs in stage0.
//
// The format has no specification but Julian Seward's program and "BZIP2: Format Specification" by Joe Tsai.

import { ByteSource } from '../byte-source.ts';
import { refuse } from '../errors.ts';
import { BitSource } from './bit-source.ts';
import { BlockCrc, combineCrc } from './crc.ts';
import { HuffmanCode } from './huffman.ts';

const BLOCK_MAGIC = '314159265359';
const END_MAGIC = '177245385090';
const STREAM_START = 0x42;
const GROUP_SYMBOLS = 50;
const RUN_A = 0;
const RUN_B = 1;
const OUTPUT_BYTES = 1024 * 1024;

/** Yields the content of one or several streams. A yielded buffer is filled again later. @throws UnpackError */
export function* bzip2Chunks(pieces: Iterable<Buffer>): Generator<Buffer, void, undefined> {
  const bytes = new ByteSource(pieces, 'bzip2');
  const bits = new BitSource(bytes);
  let streams = 0;
  while (!bytes.atEnd()) {
    if (streams > 0 && skipZeros(bytes)) return;
    yield* readStream(bits, streams > 0);
    streams += 1;
  }
  if (streams === 0) bytes.cut();
}

// Tapes are padded with zeros; true when nothing else follows.
function skipZeros(bytes: ByteSource): boolean {
  if (bytes.peek() === STREAM_START) return false;
  while (!bytes.atEnd())
    if (bytes.byte() !== 0) refuse('bad-archive', 'data after the end of the bzip2 stream');
  return true;
}

function* readStream(bits: BitSource, isAnother: boolean): Generator<Buffer, void, undefined> {
  const magic = String.fromCharCode(bits.read(8), bits.read(8), bits.read(8));
  if (magic !== 'BZh')
    refuse('bad-archive', isAnother ? 'data after the end of the bzip2 stream' : 'not a bzip2 stream');
  const level = bits.read(8) - 0x30;
  if (level < 1 || level > 9) refuse('bad-archive', 'bzip2 stream is damaged: bad block size');
  const block = new Uint32Array(level * 100_000);
  const output = Buffer.allocUnsafe(OUTPUT_BYTES);
  let combined = 0;
  for (;;) {
    const kind = hex(bits.read(24)) + hex(bits.read(24));
    const expected = bits.word();
    if (kind === END_MAGIC) {
      if (expected !== combined) refuse('bad-archive', 'bzip2 stream is damaged: wrong checksum');
      return bits.align();
    }
    if (kind !== BLOCK_MAGIC) refuse('bad-archive', 'bzip2 stream is damaged: no block where one should be');
    const crc = new BlockCrc();
    yield* expandRuns(readBlock(bits, block), output, crc);
    if (crc.value !== expected) refuse('bad-archive', 'bzip2 stream is damaged: wrong checksum of a block');
    combined = combineCrc(combined, expected);
  }
}

const hex = (value: number): string => value.toString(16).padStart(6, '0');

interface Block {
  /** Low 8 bits: the byte; upper 24: the place of the next one. */
  readonly cells: Uint32Array;
  readonly length: number;
  readonly start: number;
}

function readBlock(bits: BitSource, cells: Uint32Array): Block {
  if (bits.bit()) refuse('unsupported', 'bzip2 stream with randomized blocks, as bzip2 0.9.0 made them');
  const origin = bits.read(24);
  const { length, counts } = readSymbols(bits, cells);
  if (origin >= length) refuse('bad-archive', 'bzip2 stream is damaged: bad origin of a block');
  // Inverts the Burrows-Wheeler transform.
  let sum = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const count = counts[byte] as number;
    counts[byte] = sum;
    sum += count;
  }
  for (let at = 0; at < length; at += 1) {
    const byte = (cells[at] as number) & 0xff;
    const place = counts[byte] as number;
    counts[byte] = place + 1;
    cells[place] = (cells[place] as number) | (at << 8);
  }
  return { cells, length, start: (cells[origin] as number) >>> 8 };
}

function readSymbols(bits: BitSource, cells: Uint32Array): { length: number; counts: Int32Array } {
  const front = readAlphabet(bits);
  const endOfBlock = front.length + 1;
  const codeCount = bits.read(3);
  const selectorCount = bits.read(15);
  if (codeCount < 2 || codeCount > 6 || selectorCount < 1)
    refuse('bad-archive', 'bzip2 stream is damaged: bad codes');
  const selectors = readSelectors(bits, codeCount, selectorCount);
  const codes = Array.from({ length: codeCount }, () => readCode(bits, front.length + 2));
  const counts = new Int32Array(256);
  let length = 0;
  let run = 0;
  let runBit = 1;
  for (let symbols = 0; ; symbols += 1) {
    const code = codes[selectors[Math.floor(symbols / GROUP_SYMBOLS)] ?? -1];
    if (code === undefined) return refuse('bad-archive', 'bzip2 stream is damaged: no code for a group');
    const symbol = code.decode(bits);
    if (symbol === RUN_A || symbol === RUN_B) {
      run += runBit << symbol;
      runBit <<= 1;
      if (run > cells.length) refuse('bad-archive', 'bzip2 stream is damaged: block too long');
      continue;
    }
    if (run > 0) {
      const byte = front[0] as number;
      if (length + run > cells.length) refuse('bad-archive', 'bzip2 stream is damaged: block too long');
      cells.fill(byte, length, length + run);
      counts[byte] = (counts[byte] as number) + run;
      length += run;
      run = 0;
      runBit = 1;
    }
    if (symbol === endOfBlock) return { length, counts };
    if (length === cells.length) refuse('bad-archive', 'bzip2 stream is damaged: block too long');
    const byte = front[symbol - 1] as number;
    front.copyWithin(1, 0, symbol - 1);
    front[0] = byte;
    cells[length] = byte;
    counts[byte] = (counts[byte] as number) + 1;
    length += 1;
  }
}

// The bytes that occur, in order: the initial list of the move-to-front code.
function readAlphabet(bits: BitSource): Uint8Array {
  const groups = bits.read(16);
  const used: number[] = [];
  for (let group = 0; group < 16; group += 1) {
    if (((groups >>> (15 - group)) & 1) === 0) continue;
    const members = bits.read(16);
    for (let member = 0; member < 16; member += 1) {
      if (((members >>> (15 - member)) & 1) === 1) used.push(16 * group + member);
    }
  }
  if (used.length === 0) refuse('bad-archive', 'bzip2 stream is damaged: block without bytes');
  return Uint8Array.from(used);
}

function readSelectors(bits: BitSource, codeCount: number, count: number): Uint8Array {
  const front = Array.from({ length: codeCount }, (_, index) => index);
  const selectors = new Uint8Array(count);
  for (let index = 0; index < count; index += 1) {
    let place = 0;
    while (bits.bit()) {
      place += 1;
      if (place >= codeCount) refuse('bad-archive', 'bzip2 stream is damaged: bad selector');
    }
    const [selected = 0] = front.splice(place, 1);
    front.unshift(selected);
    selectors[index] = selected;
  }
  return selectors;
}

function readCode(bits: BitSource, symbols: number): HuffmanCode {
  const lengths = new Uint8Array(symbols);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbols; symbol += 1) {
    for (;;) {
      if (length < 1 || length > 20) refuse('bad-archive', 'bzip2 stream is damaged: bad code length');
      if (!bits.bit()) break;
      length += bits.bit() ? -1 : 1;
    }
    lengths[symbol] = length;
  }
  return new HuffmanCode(lengths);
}

// Four equal bytes are followed by the number of further ones.
function* expandRuns(
  { cells, length, start }: Block,
  output: Buffer,
  crc: BlockCrc,
): Generator<Buffer, void, undefined> {
  let filled = 0;
  let place = start;
  let previous = -1;
  let equal = 0;
  for (let index = 0; index < length; index += 1) {
    const cell = cells[place] as number;
    const byte = cell & 0xff;
    place = cell >>> 8;
    let repeat = 1;
    let value = byte;
    if (equal === 4) {
      repeat = byte;
      value = previous;
      equal = 0;
      previous = -1;
    } else if (byte === previous) {
      equal += 1;
    } else {
      previous = byte;
      equal = 1;
    }
    if (filled + repeat > OUTPUT_BYTES) {
      const bytes = output.subarray(0, filled);
      crc.update(bytes);
      yield bytes;
      filled = 0;
    }
    if (repeat === 1) output[filled] = value;
    else output.fill(value, filled, filled + repeat);
    filled += repeat;
  }
  const bytes = output.subarray(0, filled);
  crc.update(bytes);
  if (filled > 0) yield bytes;
}
