// Reads a tar archive that is pushed in pieces: ustar, pax, GNU and V7, long names, sparse files, and nothing after
// the end mark. Pure; runs in stage0.
//
// node-tar's Parser makes text of names and pax values, knows no GNU sparse files and emits through streams; this
// reader hands bytes on synchronously, so that the writer can put them into a file without a copy.

import { printable } from '@rkt/diagnostics/quote';

import { entryOf, isGlobalRecordAllowed } from './entry-of.ts';
import { exceed, refuse } from './errors.ts';
import type { ArchiveLimits } from './limits.ts';
import { parsePaxRecords } from './pax.ts';
import {
  checkSparseMap,
  gnuRealSize,
  gnuSegments,
  paxSparse,
  SparseMapText,
  type SparseSegment,
} from './sparse.ts';
import type { EntrySink } from './tar-entry.ts';
import { BLOCK_BYTES, parseTarHeader, type TarHeader } from './tar-header.ts';

type State = 'header' | 'meta' | 'gnu-map' | 'data-map' | 'body' | 'padding' | 'tail';

const META_TYPES = 'xgLKXN';

/** Pushes what it reads into an {@link EntrySink}; throws UnpackError, also for what the sink throws. */
export class TarReader {
  readonly #sink: EntrySink;
  readonly #limits: ArchiveLimits;
  #state: State = 'header';
  // Collects what must be seen as a whole: a header block, an extended header.
  #collected: Buffer = Buffer.allocUnsafe(BLOCK_BYTES);
  #filled = 0;
  #wanted = BLOCK_BYTES;
  #remaining = 0;
  #padding = 0;
  #offset = 0;
  #entries = 0;
  #zeroBlocks = 0;

  #metaType = '';
  #global = new Map<string, Buffer>();
  #local: Map<string, Buffer> | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;

  #header: TarHeader | undefined;
  #gnuRealSize = 0;
  #segments: SparseSegment[] = [];
  #mapText: SparseMapText | undefined;

  constructor(sink: EntrySink, limits: ArchiveLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** Entries seen so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Takes the next bytes of the archive. */
  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const used = this.#take(bytes, at);
      at += used;
      this.#offset += used;
    }
  }

  /** The archive is over. @throws UnpackError when it was cut. */
  end(): void {
    if (this.#state === 'tail' && this.#filled === 0) return;
    if (this.#offset === 0) refuse('bad-archive', 'empty archive');
    if (this.#zeroBlocks > 0 || this.#state === 'tail')
      refuse('bad-archive', `archive is cut in its end mark`);
    refuse('bad-archive', `archive is cut at byte ${this.#offset}`);
  }

  #take(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'body':
        return this.#takeBody(bytes, at);
      case 'padding':
        return this.#takePadding(bytes, at);
      case 'header':
      case 'gnu-map':
      case 'data-map':
      case 'tail':
        if (this.#filled === 0 && bytes.length - at >= BLOCK_BYTES) {
          this.#block(bytes.subarray(at, at + BLOCK_BYTES));
          return BLOCK_BYTES;
        }
        return this.#collect(bytes, at);
      case 'meta':
        return this.#collect(bytes, at);
    }
  }

  #takeBody(bytes: Buffer, at: number): number {
    const length = Math.min(this.#remaining, bytes.length - at);
    this.#remaining -= length;
    this.#sink.data(at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length));
    if (this.#remaining === 0) this.#endBody();
    return length;
  }

  #takePadding(bytes: Buffer, at: number): number {
    const length = Math.min(this.#padding, bytes.length - at);
    this.#padding -= length;
    if (this.#padding === 0) this.#expectBlock('header');
    return length;
  }

  #collect(bytes: Buffer, at: number): number {
    const length = Math.min(this.#wanted - this.#filled, bytes.length - at);
    bytes.copy(this.#collected, this.#filled, at, at + length);
    this.#filled += length;
    if (this.#filled < this.#wanted) return length;
    this.#filled = 0;
    if (this.#state === 'meta') this.#meta(this.#collected.subarray(0, this.#wanted));
    else this.#block(this.#collected.subarray(0, BLOCK_BYTES));
    return length;
  }

  #expectBlock(state: State): void {
    this.#state = state;
    this.#wanted = BLOCK_BYTES;
  }

  #block(block: Buffer): void {
    switch (this.#state) {
      case 'header':
        return this.#headerBlock(block);
      case 'gnu-map':
        return this.#gnuMapBlock(block);
      case 'data-map':
        return this.#dataMapBlock(block);
      default:
        if (block.some((byte) => byte !== 0)) refuse('bad-archive', `data after the end of the archive`);
    }
  }

  #headerBlock(block: Buffer): void {
    const header = parseTarHeader(block, this.#where());
    if (header === undefined) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#endArchive();
      return;
    }
    if (this.#zeroBlocks > 0)
      refuse('bad-archive', `block of zeros before byte ${this.#offset} of the archive`);
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) {
      exceed('max-image-entries', `more than ${this.#limits.maxEntries} entries in the archive`);
    }
    if (META_TYPES.includes(header.type)) this.#beginMeta(header);
    else this.#beginEntry(header, block);
  }

  #endArchive(): void {
    if (this.#local !== undefined || this.#longName !== undefined || this.#longLink !== undefined) {
      refuse('bad-archive', 'extended header without an entry at the end of the archive');
    }
    this.#expectBlock('tail');
  }

  #beginMeta(header: TarHeader): void {
    if (header.type === 'N') refuse('unsupported', `old GNU long names ${this.#where()}`);
    if (header.size > this.#limits.maxHeaderBytes) {
      refuse('limit-exceeded', `extended header of ${header.size} bytes ${this.#where()}`);
    }
    this.#metaType = header.type;
    this.#padding = paddingOf(header.size);
    if (this.#collected.length < header.size) this.#collected = Buffer.allocUnsafe(header.size);
    this.#wanted = header.size;
    this.#state = 'meta';
    if (header.size === 0) this.#meta(Buffer.alloc(0));
  }

  #meta(bytes: Buffer): void {
    switch (this.#metaType) {
      case 'L':
        this.#longName = untilNul(bytes);
        break;
      case 'K':
        this.#longLink = untilNul(bytes);
        break;
      case 'g':
        this.#mergeGlobal(parsePaxRecords(bytes, this.#where()));
        break;
      default:
        this.#local = new Map([...(this.#local ?? []), ...parsePaxRecords(bytes, this.#where())]);
    }
    this.#skipPadding();
  }

  // A global record that names files or their sizes would change every entry after it: nobody writes that honestly.
  #mergeGlobal(records: Map<string, Buffer>): void {
    for (const [key, value] of records) {
      if (!isGlobalRecordAllowed(key)) refuse('unsupported', `global pax header sets ${printable(key)}`);
      this.#global.set(key, value);
    }
  }

  #beginEntry(header: TarHeader, block: Buffer): void {
    if (header.type !== 'S') {
      this.#openEntry(header);
      return;
    }
    this.#header = header;
    this.#gnuRealSize = gnuRealSize(block, this.#where());
    const { segments, more } = gnuSegments(block, 'header', this.#where());
    this.#segments = segments;
    if (more) this.#expectBlock('gnu-map');
    else this.#openGnuSparse();
  }

  #gnuMapBlock(block: Buffer): void {
    const { segments, more } = gnuSegments(block, 'extension', this.#where());
    this.#segments.push(...segments);
    if (this.#segments.length > this.#limits.maxSparseSegments) {
      refuse('limit-exceeded', `too many holes ${this.#where()}`);
    }
    if (!more) this.#openGnuSparse();
  }

  #openGnuSparse(): void {
    const header = this.#header as TarHeader;
    // The mark of the end of the map is an empty part at the size of the file.
    const segments = this.#segments.filter(({ size }) => size > 0);
    this.#openEntry(header, { realSize: this.#gnuRealSize, segments });
  }

  #dataMapBlock(block: Buffer): void {
    const text = this.#mapText as SparseMapText;
    if (this.#remaining < BLOCK_BYTES) refuse('bad-archive', `bad sparse map ${this.#where()}`);
    this.#remaining -= BLOCK_BYTES;
    if (!text.push(block)) return;
    const header = this.#header as TarHeader;
    const segments = text.segments().filter(({ size }) => size > 0);
    this.#announce(header, this.#remaining, { realSize: this.#gnuRealSize, segments });
  }

  #openEntry(header: TarHeader, gnu?: { realSize: number; segments: readonly SparseSegment[] }): void {
    const records = this.#records();
    const stored = storedSize(header, records, this.#where());
    const sparse =
      gnu === undefined && records !== undefined
        ? paxSparse(records, this.#limits, this.#where())
        : undefined;
    if (sparse !== undefined && 'mapInData' in sparse) {
      this.#header = header;
      this.#gnuRealSize = sparse.realSize;
      this.#mapText = new SparseMapText(this.#limits, this.#where());
      this.#remaining = stored;
      this.#padding = paddingOf(stored);
      this.#expectBlock('data-map');
      return;
    }
    this.#padding = paddingOf(stored);
    this.#announce(header, stored, gnu ?? sparse?.map);
  }

  #announce(
    header: TarHeader,
    stored: number,
    map?: { realSize: number; segments: readonly SparseSegment[] },
  ): void {
    const where = this.#where();
    const sparse = map === undefined ? undefined : checkSparseMap(map, stored, where);
    const names = { longName: this.#longName, longLink: this.#longLink };
    const entry = entryOf(header, { records: this.#records(), ...names, stored, sparse }, where);
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#remaining = stored;
    if (entry === undefined) {
      // A volume label: its name is all there is to it.
      this.#skipPadding();
      return;
    }
    this.#state = 'body';
    this.#sink.entry(entry);
    if (this.#remaining === 0) this.#endBody();
  }

  #endBody(): void {
    this.#sink.endEntry();
    this.#skipPadding();
  }

  #skipPadding(): void {
    if (this.#padding > 0) this.#state = 'padding';
    else this.#expectBlock('header');
  }

  #records(): Map<string, Buffer> | undefined {
    if (this.#global.size === 0) return this.#local;
    return new Map([...this.#global, ...(this.#local ?? [])]);
  }

  #where(): string {
    return `at byte ${this.#offset} of the archive`;
  }
}

// Only files have bytes in the archive; old archives give links the size of their target.
function storedSize(header: TarHeader, records: Map<string, Buffer> | undefined, where: string): number {
  if (!'07S'.includes(header.type)) return 0;
  if (header.type === '0' && header.name.at(-1) === 0x2f) return 0;
  const text = records?.get('size')?.toString('latin1');
  if (text === undefined || text === '') return header.size;
  const size = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) refuse('bad-archive', `bad size in the pax header ${where}`);
  return size;
}

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end));
}
