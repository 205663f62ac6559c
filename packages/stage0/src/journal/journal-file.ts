// Reads one file of systemd's journal (systemd.io/JOURNAL_FILE_FORMAT), also while journald writes it. The file belongs
// to a pod, which may have put anything into it. Runs in stage0.
//
// Entries are the numbers of a chain of arrays that only grows. Everything that belongs to the first n_entries of them
// was written before n_entries was: the header is read first, and nothing beyond it is looked at.

import { closeSync, fstatSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';

import { BlockReader } from './block-reader.ts';
import { JournalError } from './errors.ts';

const SIGNATURE = 'LPKSHHRH';
const HEADER_BYTES = 208;
/** Incompatible flags: what a reader must know to read on. */
const COMPACT = 16;
const KNOWN_FLAGS = 1 | 2 | 4 | 8 | COMPACT;
const TYPE = { data: 1, entry: 3, entryArray: 6 } as const;
const ZSTD = 4;
const ANY_COMPRESSION = 7;
const MAX_FIELD_BYTES = 16 * 1024 * 1024;
const MAX_ENTRY_BYTES = 1024 * 1024;
const MESSAGE: Buffer = Buffer.from('MESSAGE=');
const IDENTIFIER: Buffer = Buffer.from('SYSLOG_IDENTIFIER=');
const REMEMBERED_FIELDS = 16_384;

/** Where to go on reading: a place in the chain of arrays. */
export interface Cursor {
  /** Offset of the array; 0 before the first one is known. */
  readonly array: number;
  /** Items of it that were read. */
  readonly index: number;
  /** Entries that were read. */
  readonly count: number;
}

export const START: Cursor = { array: 0, index: 0, count: 0 };

/** One record. */
export interface JournalEntry {
  readonly file: JournalFile;
  readonly offset: number;
  /** Microseconds since 1970. */
  readonly realtime: bigint;
  readonly sequence: bigint;
}

/** The fields of a record that logs show; absent ones are undefined. */
export interface EntryText {
  readonly message: string | undefined;
  readonly identifier: string | undefined;
}

/** An open journal file. */
export class JournalFile implements Disposable {
  /** Stays the same when the file is renamed. */
  readonly id: string;
  readonly #fd: number;
  readonly #name: string;
  readonly #reader: BlockReader;
  readonly #size: number;
  readonly #isCompact: boolean;
  readonly #firstArray: number;
  readonly #entryCount: number;
  // Data objects that many entries share: their text if it is an identifier, false if it is nothing of interest.
  readonly #shared = new Map<number, string | false>();
  #cursor: Cursor;

  /** Takes over `fd`. @throws JournalError when it is no journal file; `fd` is closed then */
  constructor(fd: number, name: string, cursors: ReadonlyMap<string, Cursor>) {
    this.#fd = fd;
    this.#name = name;
    this.#reader = new BlockReader(fd);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw this.#damaged('it is no file');
      this.#size = stat.size;
      const header = this.#reader.read(0, HEADER_BYTES);
      if (header.length < HEADER_BYTES || header.toString('latin1', 0, 8) !== SIGNATURE) {
        throw this.#damaged('it is no journal file');
      }
      const flags = header.readUInt32LE(12);
      if ((flags & ~KNOWN_FLAGS) !== 0) {
        throw new JournalError('unsupported', `${name} needs a newer reader of journals (flags ${flags})`);
      }
      this.#isCompact = (flags & COMPACT) !== 0;
      this.id = header.toString('hex', 24, 40);
      this.#entryCount = Number(header.readBigUInt64LE(152));
      this.#firstArray = Number(header.readBigUInt64LE(176));
      this.#cursor = cursors.get(this.id) ?? START;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Behind the last entry that {@link next} gave. */
  get cursor(): Cursor {
    return this.#cursor;
  }

  /** The next entry; undefined when there is none yet. @throws JournalError `damaged` */
  next(): JournalEntry | undefined {
    let { array, index } = this.#cursor;
    const { count } = this.#cursor;
    if (count >= this.#entryCount) return undefined;
    if (array === 0) array = this.#firstArray;
    const width = this.#isCompact ? 4 : 8;
    for (;;) {
      const head = this.#object(array, TYPE.entryArray, 24);
      const items = Math.floor((head.size - 24) / width);
      if (index < items) {
        const item = this.#reader.read(array + 24 + index * width, width);
        const offset = this.#isCompact ? item.readUInt32LE(0) : Number(item.readBigUInt64LE(0));
        this.#cursor = { array, index: index + 1, count: count + 1 };
        return this.#entry(offset);
      }
      // Arrays are appended to the file: a chain that turns back is no chain of journald's.
      const following = Number(head.bytes.readBigUInt64LE(16));
      if (following <= array) throw this.#damaged('its entries end early');
      array = following;
      index = 0;
    }
  }

  /** What the entry says. @throws JournalError `damaged`, `unsupported` */
  read({ offset }: JournalEntry): EntryText {
    const { size } = this.#object(offset, TYPE.entry, 64);
    if (size > MAX_ENTRY_BYTES) throw this.#damaged('an entry is too large');
    const object = this.#reader.read(offset, size);
    const width = this.#isCompact ? 4 : 16;
    let message: string | undefined;
    let identifier: string | undefined;
    for (let at = 64; at + width <= object.length; at += width) {
      const data = this.#isCompact ? object.readUInt32LE(at) : Number(object.readBigUInt64LE(at));
      const shared = this.#shared.get(data);
      if (shared === false) continue;
      if (shared !== undefined) identifier = shared;
      else {
        const field = this.#field(data);
        if (field.subarray(0, MESSAGE.length).equals(MESSAGE))
          message = field.toString('utf8', MESSAGE.length);
        else {
          const isIdentifier = field.subarray(0, IDENTIFIER.length).equals(IDENTIFIER);
          if (isIdentifier) identifier = field.toString('utf8', IDENTIFIER.length);
          this.#remember(data, isIdentifier ? (identifier ?? false) : false);
        }
      }
    }
    return { message, identifier };
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #entry(offset: number): JournalEntry {
    const { bytes } = this.#object(offset, TYPE.entry, 64);
    return { file: this, offset, sequence: bytes.readBigUInt64LE(16), realtime: bytes.readBigUInt64LE(24) };
  }

  // `NAME=value` of a data object.
  #field(offset: number): Buffer {
    const { size, flags } = this.#object(offset, TYPE.data, 64);
    const start = this.#isCompact ? 72 : 64;
    if (size < start || size - start > MAX_FIELD_BYTES) throw this.#damaged('a field is too large');
    const payload = this.#reader.read(offset + start, size - start);
    const compression = flags & ANY_COMPRESSION;
    if (compression === 0) return payload;
    if (compression !== ZSTD) {
      throw new JournalError('unsupported', `${this.#name} is compressed with lz4 or xz`, {
        hint: 'read it with journalctl --file',
      });
    }
    try {
      return zstdDecompressSync(payload, { maxOutputLength: MAX_FIELD_BYTES });
    } catch (error) {
      throw this.#damaged(`a field cannot be unpacked: ${(error as Error).message}`);
    }
  }

  #remember(offset: number, identifier: string | false): void {
    if (this.#shared.size >= REMEMBERED_FIELDS) this.#shared.clear();
    this.#shared.set(offset, identifier);
  }

  #damaged(what: string): JournalError {
    return new JournalError('damaged', `journal ${this.#name} is damaged: ${what}`);
  }

  // The start of an object, which is whole.
  #object(offset: number, type: number, headBytes: number): { bytes: Buffer; size: number; flags: number } {
    if (!(offset >= HEADER_BYTES && offset + headBytes <= this.#size))
      throw this.#damaged('an object is missing');
    const bytes = this.#reader.read(offset, headBytes);
    const size = Number(bytes.readBigUInt64LE(8));
    if (bytes.length < headBytes || bytes[0] !== type || size < headBytes || offset + size > this.#size) {
      throw this.#damaged('an object is damaged');
    }
    return { bytes, size, flags: bytes.readUInt8(1) };
  }
}
