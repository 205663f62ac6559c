// Journal files for tests, written as journald lays them out, without its hash tables. Runs in the test process.

import { zstdCompressSync } from 'node:zlib';

/** One entry to write. */
export interface WrittenEntry {
  readonly seqnum: number;
  readonly realtimeUs: number;
  /** `NAME=value`, in order. */
  readonly fields: readonly (string | Buffer)[];
}

export interface JournalBytesOptions {
  readonly compact?: boolean;
  /** Fields of more bytes are compressed. */
  readonly compressAbove?: number;
  /** Entries in the first array; each further one holds twice as many. */
  readonly firstArray?: number;
  readonly seqnumId?: number;
  /** Every byte of the file's ID. */
  readonly id?: number;
  /** Entries of which the header knows; all if absent. */
  readonly claimed?: number;
}

const HEADER_BYTES = 264;

/** The bytes of a journal file. */
export function journalBytes(entries: readonly WrittenEntry[], options: JournalBytesOptions = {}): Buffer {
  const { compact = true, compressAbove = Infinity, firstArray = 4, seqnumId = 1, id = 1 } = options;
  const objects: Buffer[] = [];
  let end = HEADER_BYTES;
  const append = (object: Buffer): number => {
    const padding = (8 - (object.length % 8)) % 8;
    const offset = end;
    objects.push(object, Buffer.alloc(padding));
    end += object.length + padding;
    return offset;
  };
  const known = new Map<string, number>();
  const data = (field: string | Buffer): number => {
    const payload = Buffer.from(field);
    const key = payload.toString('latin1');
    const found = known.get(key);
    if (found !== undefined) return found;
    const isLong = payload.length > compressAbove;
    const head = objectHead(1, compact ? 72 : 64, isLong ? 4 : 0);
    const offset = append(sized(Buffer.concat([head, isLong ? zstdCompressSync(payload) : payload])));
    known.set(key, offset);
    return offset;
  };
  const header = Buffer.alloc(HEADER_BYTES);
  let array: Buffer | undefined;
  let filled = 0;
  let capacity = firstArray;
  const width = compact ? 4 : 8;
  const put = (bytes: Buffer, at: number, value: number): void => {
    if (compact) bytes.writeUInt32LE(value, at);
    else bytes.writeBigUInt64LE(BigInt(value), at);
  };
  for (const { seqnum, realtimeUs, fields } of entries) {
    const offsets = fields.map(data);
    const entry = Buffer.concat([objectHead(3, 64), Buffer.alloc(offsets.length * (compact ? 4 : 16))]);
    entry.writeBigUInt64LE(BigInt(seqnum), 16);
    entry.writeBigUInt64LE(BigInt(realtimeUs), 24);
    offsets.forEach((offset, index) => put(entry, 64 + index * (compact ? 4 : 16), offset));
    const entryOffset = append(sized(entry));
    if (array === undefined || filled === capacity) {
      if (array !== undefined) capacity *= 2;
      const next: Buffer = sized(Buffer.concat([objectHead(6, 24), Buffer.alloc(capacity * width)]));
      const offset = append(next);
      if (array === undefined) header.writeBigUInt64LE(BigInt(offset), 176);
      else array.writeBigUInt64LE(BigInt(offset), 16);
      [array, filled] = [next, 0];
    }
    put(array, 24 + filled * width, entryOffset);
    filled += 1;
  }
  header.write('LPKSHHRH', 'latin1');
  header.writeUInt32LE(8 | 4 | (compact ? 16 : 0), 12);
  header.fill(id, 24, 40);
  header.fill(seqnumId, 72, 88);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 88);
  header.writeBigUInt64LE(BigInt(options.claimed ?? entries.length), 152);
  return Buffer.concat([header, ...objects]);
}

function objectHead(type: number, bytes: number, flags = 0): Buffer {
  const head = Buffer.alloc(bytes);
  head[0] = type;
  head[1] = flags;
  return head;
}

function sized(object: Buffer): Buffer {
  object.writeBigUInt64LE(BigInt(object.length), 8);
  return object;
}

/** An entry as an app's standard output makes one. */
export function appEntry(
  seqnum: number,
  message: string | Buffer,
  { app = 'web', realtimeUs = seqnum * 1_000_000 }: { app?: string; realtimeUs?: number } = {},
): WrittenEntry {
  const text = Buffer.concat([Buffer.from('MESSAGE='), Buffer.from(message)]);
  const fields = ['PRIORITY=6', '_PID=7', `SYSLOG_IDENTIFIER=${app}`, `_SYSTEMD_UNIT=${app}.service`];
  return { seqnum, realtimeUs, fields: [...fields, '_TRANSPORT=stdout', text] };
}
