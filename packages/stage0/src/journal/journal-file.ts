// One journal file of systemd-journald: its entries by number. Runs in stage0.
//
// The format is https://systemd.io/JOURNAL_FILE_FORMAT/, with the compact form of systemd 252. Whoever is root in a pod
// can write anything into these files. So every offset must lead forward, every size has a limit, and the work is
// bounded by the size of the file; see docs/decisions/0041.

import { zstdDecompressSync } from 'node:zlib';

import { JournalError } from './errors.ts';
import { FileWindow } from './file-window.ts';

/** What rkt shows of an entry. */
export interface JournalEntry {
  /** Number among all entries of the journal, in the order in which they were written. */
  readonly seqnum: number;
  /** Microseconds since the epoch. */
  readonly realtimeUs: number;
  /** The text, as bytes: apps need not write UTF-8. Not every entry has one. */
  readonly message?: Buffer;
  /** The app's name, unless the app itself says another one to syslog. */
  readonly identifier?: string;
  /** The unit that wrote it, e.g. `web.service`. */
  readonly unit?: string;
  readonly pid?: string;
  readonly priority?: string;
}

const SIGNATURE = 'LPKSHHRH';
const HEADER_BYTES = 208;
const INCOMPATIBLE_COMPACT = 16;
// Compression by xz, lz4 and zstd, keyed hashes, compact.
const INCOMPATIBLE_KNOWN = 1 | 2 | 4 | 8 | INCOMPATIBLE_COMPACT;

const [DATA, ENTRY, ENTRY_ARRAY] = [1, 3, 6];
const OBJECT_HEADER_BYTES = 16;
const COMPRESSED_ZSTD = 4;
const COMPRESSIONS: Readonly<Record<number, string>> = { 1: 'xz', 2: 'lz4' };

/** Limits that journald itself keeps to (LineMax of ours is 1 MiB; 1024 fields make an entry). */
const MOST_FIELD_BYTES = 16 * 1024 * 1024;
const MOST_FIELDS = 1024;
/** Each array of journald is twice as long as the one before. */
const MOST_ARRAYS = 1024;
const MOST_CACHED = 65_536;
const MOST_CACHED_BYTES = 4096;

interface EntryArray {
  readonly offset: number;
  /** Number of its first entry. */
  readonly first: number;
  readonly capacity: number;
}

type FieldName = 'message' | 'identifier' | 'unit' | 'pid' | 'priority';
interface Field {
  readonly name: FieldName;
  readonly value: Buffer;
}

const FIELDS: Readonly<Record<string, FieldName>> = {
  MESSAGE: 'message',
  SYSLOG_IDENTIFIER: 'identifier',
  _SYSTEMD_UNIT: 'unit',
  _PID: 'pid',
  PRIORITY: 'priority',
};
const LONGEST_NAME = 32;

/** An open file. */
export class JournalFile {
  /** Stays the same when the file is renamed. */
  readonly id: string;
  /** Files with the same ID have one numbering. */
  readonly seqnumId: string;
  readonly #window: FileWindow;
  readonly #compact: boolean;
  readonly #arrays: EntryArray[] = [];
  // Most fields of an entry are those of the entry before: undefined is one that nobody wants.
  readonly #fields = new Map<number, Field | undefined>();
  #count = 0;

  /** @throws JournalError `damaged` for what is no journal file, `unsupported` for one from the future */
  constructor(fd: number) {
    this.#window = new FileWindow(fd);
    const header = this.#window.bytes(0, HEADER_BYTES);
    if (header.toString('latin1', 0, 8) !== SIGNATURE) throw damaged('it is no journal file');
    const flags = header.readUInt32LE(12);
    if ((flags & ~INCOMPATIBLE_KNOWN) !== 0) throw unsupported(`it has unknown features (${flags})`);
    this.#compact = (flags & INCOMPATIBLE_COMPACT) !== 0;
    this.id = header.toString('hex', 24, 40);
    this.seqnumId = header.toString('hex', 72, 88);
    this.refresh();
  }

  /** Number of entries when the file was last looked at. */
  get count(): number {
    return this.#count;
  }

  /** Looks for new entries. */
  refresh(): void {
    this.#window.refresh();
    const header = this.#window.bytes(0, HEADER_BYTES);
    const count = integer(header, 152);
    let last = this.#arrays.at(-1);
    let known = last === undefined ? 0 : last.first + last.capacity;
    let next = last === undefined ? integer(header, 176) : this.#nextArray(last.offset);
    while (known < count && next !== 0) {
      last = this.#array(next, known, last?.offset ?? 0);
      this.#arrays.push(last);
      known += last.capacity;
      next = this.#nextArray(last.offset);
    }
    this.#count = Math.max(this.#count, Math.min(count, known));
  }

  /** The entry of that number, from 0. @throws JournalError `damaged`, `unsupported` */
  entry(index: number): JournalEntry {
    const { offset, items } = this.#entryObject(index);
    const object = this.#object(offset, ENTRY, items);
    const width = this.#compact ? 4 : 16;
    const count = Math.floor((object.length - items) / width);
    if (count > MOST_FIELDS) throw damaged(`an entry has ${count} fields`);
    const texts: { [name in FieldName]?: Buffer } = {};
    for (let item = 0; item < count; item += 1) {
      const at = items + item * width;
      const field = this.#field(this.#compact ? object.readUInt32LE(at) : integer(object, at));
      // The first counts: an app may send a field several times.
      if (field !== undefined) texts[field.name] ??= field.value;
    }
    const { message, ...words } = texts;
    return {
      seqnum: integer(object, 16),
      realtimeUs: integer(object, 24),
      ...(message === undefined ? {} : { message }),
      ...Object.fromEntries(Object.entries(words).map(([name, value]) => [name, value.toString('utf8')])),
    };
  }

  /** Seqnum and time of an entry, without its fields. @throws JournalError `damaged` */
  place(index: number): Pick<JournalEntry, 'seqnum' | 'realtimeUs'> {
    const { offset, items } = this.#entryObject(index);
    const head = this.#window.bytes(offset, items);
    if (head[0] !== ENTRY) throw damaged(`no entry at byte ${offset}`);
    return { seqnum: integer(head, 16), realtimeUs: integer(head, 24) };
  }

  #entryObject(index: number): { offset: number; items: number } {
    const array = this.#arrayOf(index);
    const width = this.#compact ? 4 : 8;
    const bytes = this.#window.bytes(array.offset + 24 + (index - array.first) * width, width);
    return { offset: this.#compact ? bytes.readUInt32LE(0) : integer(bytes, 0), items: 64 };
  }

  #arrayOf(index: number): EntryArray {
    if (index < 0 || index >= this.#count) throw new RangeError(`no entry ${index}`);
    let [low, high] = [0, this.#arrays.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#arrays[middle]?.first ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    const found = this.#arrays[low];
    if (found === undefined) throw damaged('it has no entries');
    return found;
  }

  #array(offset: number, first: number, previous: number): EntryArray {
    // journald writes at the end only.
    if (offset <= previous || this.#arrays.length >= MOST_ARRAYS) throw damaged('its entries go round');
    const head = this.#window.bytes(offset, 24);
    const size = integer(head, 8);
    const capacity = Math.floor((size - 24) / (this.#compact ? 4 : 8));
    // All of it is there, so there are never more entries than the file has bytes.
    if (head[0] !== ENTRY_ARRAY || capacity < 1 || offset + size > this.#window.size)
      throw damaged(`no entries at byte ${offset}`);
    return { offset, first, capacity };
  }

  #nextArray(offset: number): number {
    return integer(this.#window.bytes(offset + 16, 8), 0);
  }

  #field(offset: number): Field | undefined {
    if (this.#fields.has(offset)) return this.#fields.get(offset);
    const object = this.#object(offset, DATA, OBJECT_HEADER_BYTES);
    const payload = object.subarray(this.#compact ? 72 : 64);
    const field = fieldOf((object[1] ?? 0) === 0 ? payload : decompressed(payload, object[1] ?? 0));
    if (field === undefined || (field.name !== 'message' && field.value.length <= MOST_CACHED_BYTES)) {
      if (this.#fields.size >= MOST_CACHED) this.#fields.clear();
      // A copy, or the whole block stays.
      this.#fields.set(
        offset,
        field === undefined ? undefined : { ...field, value: Buffer.from(field.value) },
      );
    }
    return field;
  }

  #object(offset: number, type: number, least: number): Buffer {
    const head = this.#window.bytes(offset, OBJECT_HEADER_BYTES);
    const size = integer(head, 8);
    if (head[0] !== type || size < least || size > MOST_FIELD_BYTES) {
      throw damaged(`no object of type ${type} at byte ${offset}`);
    }
    return this.#window.bytes(offset, size);
  }
}

function fieldOf(payload: Buffer): Field | undefined {
  const equals = payload.subarray(0, LONGEST_NAME).indexOf('=');
  if (equals < 0) return undefined;
  const name = payload.toString('latin1', 0, equals);
  return Object.hasOwn(FIELDS, name) && FIELDS[name] !== undefined
    ? { name: FIELDS[name], value: payload.subarray(equals + 1) }
    : undefined;
}

function decompressed(payload: Buffer, flags: number): Buffer {
  if (flags !== COMPRESSED_ZSTD) {
    throw unsupported(
      `it is compressed by ${COMPRESSIONS[flags] ?? 'something unknown'}, which rkt cannot read`,
    );
  }
  try {
    return zstdDecompressSync(payload, { maxOutputLength: MOST_FIELD_BYTES });
  } catch (cause) {
    throw new JournalError('damaged', 'a field cannot be decompressed', { cause });
  }
}

// 64 bits of which we can count 53.
function integer(bytes: Buffer, offset: number): number {
  const value = bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 0x1_0000_0000;
  if (value > Number.MAX_SAFE_INTEGER) throw damaged(`a number is too large`);
  return value;
}

function damaged(reason: string): JournalError {
  return new JournalError('damaged', reason);
}

function unsupported(reason: string): JournalError {
  return new JournalError('unsupported', reason);
}
