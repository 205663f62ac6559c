// Maps of sparse files: which parts of a file an archive holds, in GNU's old form and the three pax forms. Pure; runs
// in stage0.

import { refuse } from './errors.ts';
import type { ArchiveLimits } from './limits.ts';
import { paxInteger, paxText, type PaxRecords } from './pax.ts';
import { BLOCK_BYTES } from './tar-header.ts';
import { tarNumber } from './tar-number.ts';

/** A part of a file that is stored; what lies between is zeros. */
export interface SparseSegment {
  readonly offset: number;
  readonly size: number;
}

/** A file with holes. */
export interface SparseMap {
  readonly realSize: number;
  /** In order, without overlap, within the file. */
  readonly segments: readonly SparseSegment[];
}

/**
 * Checks a map against the bytes that are stored.
 * @throws UnpackError `bad-archive`
 */
export function checkSparseMap(map: SparseMap, storedBytes: number, where: string): SparseMap {
  let end = 0;
  let stored = 0;
  for (const { offset, size } of map.segments) {
    if (offset < end || size < 0 || offset + size > map.realSize)
      refuse('bad-archive', `bad sparse map ${where}`);
    end = offset + size;
    stored += size;
  }
  if (stored !== storedBytes) refuse('bad-archive', `sparse map and size differ ${where}`);
  return map;
}

/** The parts listed in an old GNU header ('S') or one of the blocks that continue it. */
export function gnuSegments(
  block: Buffer,
  kind: 'header' | 'extension',
  where: string,
): { segments: SparseSegment[]; more: boolean } {
  const [start, count, flag] = kind === 'header' ? [386, 4, 482] : [0, 21, 504];
  const segments: SparseSegment[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = start + index * 24;
    if (block[at] === 0 && block[at + 12] === 0) break;
    const offset = tarNumber(block, at, 12);
    const size = tarNumber(block, at + 12, 12);
    if (offset === undefined || size === undefined) refuse('bad-archive', `bad sparse map ${where}`);
    segments.push({ offset, size });
  }
  return { segments, more: block[flag] !== 0 };
}

/** The size of the file with its holes, from an old GNU header. */
export function gnuRealSize(header: Buffer, where: string): number {
  const size = tarNumber(header, 483, 12);
  return size === undefined || size < 0 ? refuse('bad-archive', `bad sparse size ${where}`) : size;
}

/** What pax records say of a sparse file: its map, or that the map opens its data (form 1.0). */
export type PaxSparse = { readonly map: SparseMap } | { readonly mapInData: true; readonly realSize: number };

/** Reads forms 0.0, 0.1 and 1.0; undefined for a file that is not sparse. @throws UnpackError */
export function paxSparse(records: PaxRecords, limits: ArchiveLimits, where: string): PaxSparse | undefined {
  const major = paxInteger(records, 'GNU.sparse.major', where);
  const realSize =
    paxInteger(records, 'GNU.sparse.realsize', where) ?? paxInteger(records, 'GNU.sparse.size', where);
  if (major !== undefined) {
    const minor = paxInteger(records, 'GNU.sparse.minor', where);
    if (major !== 1 || minor !== 0) refuse('unsupported', `sparse format ${major}.${minor ?? 0} ${where}`);
    if (realSize === undefined || realSize < 0) refuse('bad-archive', `sparse file without a size ${where}`);
    return { mapInData: true, realSize };
  }
  const numbers = sparseNumbers(records);
  if (numbers === undefined) return undefined;
  if (realSize === undefined || realSize < 0) refuse('bad-archive', `sparse file without a size ${where}`);
  return { map: { realSize, segments: pairs(numbers, limits, where) } };
}

function sparseNumbers(records: PaxRecords): string[] | undefined {
  const map = paxText(records, 'GNU.sparse.map');
  if (map !== undefined) return map === '' ? [] : map.split(',');
  const offsets = paxText(records, 'GNU.sparse.offset')?.split(',');
  const sizes = paxText(records, 'GNU.sparse.numbytes')?.split(',') ?? [];
  if (offsets === undefined) return records.has('GNU.sparse.numblocks') ? [] : undefined;
  // An unequal count leaves one number without its pair, which pairs() refuses.
  return offsets.length === sizes.length
    ? offsets.flatMap((offset, index) => [offset, sizes[index] ?? ''])
    : ['x'];
}

function pairs(numbers: readonly string[], limits: ArchiveLimits, where: string): SparseSegment[] {
  if (numbers.length > 2 * limits.maxSparseSegments) refuse('limit-exceeded', `too many holes ${where}`);
  const values = numbers.map((text) => (/^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN));
  if (values.length % 2 !== 0 || !values.every(Number.isSafeInteger))
    refuse('bad-archive', `bad sparse map ${where}`);
  return Array.from({ length: values.length / 2 }, (_, index) => ({
    offset: values[2 * index] ?? 0,
    size: values[2 * index + 1] ?? 0,
  }));
}

/** Collects the map that opens the data of a sparse file of form 1.0: decimal lines, padded to whole blocks. */
export class SparseMapText {
  readonly #limits: ArchiveLimits;
  readonly #where: string;
  readonly #blocks: Buffer[] = [];
  #lines = 0;
  #wanted = 1;
  #first = '';

  constructor(limits: ArchiveLimits, where: string) {
    this.#limits = limits;
    this.#where = where;
  }

  /** Bytes of the map so far. */
  get bytes(): number {
    return this.#blocks.length * BLOCK_BYTES;
  }

  /** Takes the next block; true once the map is whole. */
  push(block: Buffer): boolean {
    this.#blocks.push(Buffer.from(block));
    for (const byte of block) {
      if (this.#lines === 0 && byte !== 0x0a) this.#first += String.fromCharCode(byte);
      if (byte !== 0x0a) continue;
      this.#lines += 1;
      if (this.#lines === 1) this.#wanted = 1 + 2 * this.#count();
      if (this.#lines === this.#wanted) return true;
    }
    return false;
  }

  segments(): SparseSegment[] {
    const lines = Buffer.concat(this.#blocks).toString('latin1').split('\n').slice(1, this.#wanted);
    return pairs(lines, this.#limits, this.#where);
  }

  #count(): number {
    const count = /^[0-9]{1,9}$/.test(this.#first) ? Number(this.#first) : Number.NaN;
    if (Number.isNaN(count)) refuse('bad-archive', `bad sparse map ${this.#where}`);
    if (count > this.#limits.maxSparseSegments) refuse('limit-exceeded', `too many holes ${this.#where}`);
    return count;
  }
}
