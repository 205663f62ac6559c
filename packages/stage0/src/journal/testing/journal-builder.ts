// Journal files byte by byte (systemd.io/JOURNAL_FILE_FORMAT), for tests that need odd ones. What journald itself writes
// is read in e2e. Runs in the test process.

import { zstdCompressSync } from 'node:zlib';

/** One record; a value may be as long as it likes. */
export interface RecordDescription {
  /** Microseconds since 1970. */
  readonly realtime: bigint;
  readonly fields: readonly string[];
  /** Pack the fields. */
  readonly zstd?: boolean;
}

/** What to build. */
export interface JournalDescription {
  readonly records: readonly RecordDescription[];
  /** Entries in the first array; the next one is twice as large. */
  readonly firstArray?: number;
  readonly compact?: boolean;
  /** First byte of the file's id. */
  readonly id?: number;
  /** n_entries of the header, if not the truth. */
  readonly claimed?: number;
  readonly incompatibleFlags?: number;
}

const HEADER_BYTES = 256;
const COMPACT = 16;

/** The bytes of a journal file. */
export function buildJournal(description: JournalDescription): Buffer {
  const { records, firstArray = 2, compact = false, id = 1 } = description;
  const parts: Buffer[] = [Buffer.alloc(HEADER_BYTES)];
  let length = HEADER_BYTES;
  const add = (type: number, flags: number, body: Buffer): number => {
    const offset = length;
    const size = 16 + body.length;
    const object = Buffer.alloc(Math.ceil(size / 8) * 8);
    object[0] = type;
    object[1] = flags;
    object.writeBigUInt64LE(BigInt(size), 8);
    body.copy(object, 16);
    parts.push(object);
    length += object.length;
    return offset;
  };
  const known = new Map<string, number>();
  const data = (field: string, zstd: boolean): number => {
    const before = known.get(field);
    if (before !== undefined) return before;
    const text = Buffer.from(field);
    const head = Buffer.alloc(compact ? 56 : 48);
    const offset = add(1, zstd ? 4 : 0, Buffer.concat([head, zstd ? zstdCompressSync(text) : text]));
    known.set(field, offset);
    return offset;
  };
  const entries = records.map(({ realtime, fields, zstd = false }, index) => {
    const offsets = fields.map((field) => data(field, zstd));
    const body = Buffer.alloc(48 + offsets.length * (compact ? 4 : 16));
    body.writeBigUInt64LE(BigInt(index + 1), 0);
    body.writeBigUInt64LE(realtime, 8);
    for (const [item, offset] of offsets.entries()) {
      if (compact) body.writeUInt32LE(offset, 48 + item * 4);
      else body.writeBigUInt64LE(BigInt(offset), 48 + item * 16);
    }
    return add(3, 0, body);
  });
  const arrays: number[] = [];
  for (let at = 0, size = firstArray; at < entries.length || arrays.length === 0; at += size / 2) {
    const body = Buffer.alloc(8 + size * (compact ? 4 : 8));
    for (const [item, offset] of entries.slice(at, at + size).entries()) {
      if (compact) body.writeUInt32LE(offset, 8 + item * 4);
      else body.writeBigUInt64LE(BigInt(offset), 8 + item * 8);
    }
    const previous = parts.at(-1);
    const offset = add(6, 0, body);
    if (arrays.length > 0) previous?.writeBigUInt64LE(BigInt(offset), 16);
    arrays.push(offset);
    size *= 2;
  }
  const [header = Buffer.alloc(0)] = parts;
  header.write('LPKSHHRH', 0, 'latin1');
  header.writeUInt32LE(description.incompatibleFlags ?? (compact ? COMPACT : 0), 12);
  header.fill(id, 24, 40);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 88);
  header.writeBigUInt64LE(BigInt(description.claimed ?? records.length), 152);
  header.writeBigUInt64LE(BigInt(arrays[0] ?? 0), 176);
  return Buffer.concat(parts);
}
