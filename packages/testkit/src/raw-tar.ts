// Tar archives byte by byte, for archives no tool would write. Runs in the test process.

/** A field of a header: a number is written as octal digits, text and bytes as they are, cut to the field. */
export type RawField = number | string | Uint8Array;

/** The fields of a ustar header; everything has a harmless default. */
export interface RawHeader {
  readonly name?: RawField;
  readonly mode?: RawField;
  readonly uid?: RawField;
  readonly gid?: RawField;
  /** Defaults to the length of the data in {@link rawEntry}, else 0. */
  readonly size?: RawField;
  readonly mtime?: RawField;
  /** Type flag, e.g. `0` file, `1` hard link, `2` symlink, `3` char, `4` block, `5` directory, `6` fifo, `x`, `g`. */
  readonly type?: string;
  readonly linkname?: RawField;
  /** Eight bytes of magic and version; POSIX by default, `ustar  \0` for GNU, empty for V7. */
  readonly magic?: RawField;
  readonly uname?: RawField;
  readonly gname?: RawField;
  readonly major?: RawField;
  readonly minor?: RawField;
  readonly prefix?: RawField;
  /** Computed by default. */
  readonly checksum?: RawField;
}

const BLOCK = 512;

/** The two empty blocks that end an archive. */
export const END_OF_ARCHIVE: Buffer = Buffer.alloc(2 * BLOCK);

// Field, offset, length: POSIX.1 pax, "ustar Interchange Format".
const LAYOUT = [
  ['name', 0, 100],
  ['mode', 100, 8],
  ['uid', 108, 8],
  ['gid', 116, 8],
  ['size', 124, 12],
  ['mtime', 136, 12],
  ['type', 156, 1],
  ['linkname', 157, 100],
  ['magic', 257, 8],
  ['uname', 265, 32],
  ['gname', 297, 32],
  ['major', 329, 8],
  ['minor', 337, 8],
  ['prefix', 345, 155],
] as const;
const CHECKSUM_OFFSET = 148;

const DEFAULTS: RawHeader = {
  name: 'rootfs/file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  type: '0',
  linkname: '',
  magic: 'ustar\x0000',
  uname: '',
  gname: '',
  major: 0,
  minor: 0,
  prefix: '',
};

/** One header block. */
export function rawHeader(fields: RawHeader): Buffer {
  const block = Buffer.alloc(BLOCK);
  const merged = { ...DEFAULTS, ...fields };
  for (const [field, offset, length] of LAYOUT)
    fieldBytes(merged[field] ?? '', length).copy(block, offset, 0, length);
  block.fill(' ', CHECKSUM_OFFSET, CHECKSUM_OFFSET + 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  const checksum = fields.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `;
  fieldBytes(checksum, 8).copy(block, CHECKSUM_OFFSET, 0, 8);
  return block;
}

/** A header with its data, padded to whole blocks. */
export function rawEntry(fields: RawHeader, data: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([rawHeader({ size: bytes.length, ...fields }), padded(bytes)]);
}

/** `data` filled with zeros to a multiple of the block size. */
export function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}

/** One `LENGTH KEY=VALUE\n` record of a pax header; LENGTH counts itself. */
export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

/** A pax header for the next entry, or for all that follow. */
export function paxEntry(
  records: Iterable<Uint8Array>,
  { global = false }: { readonly global?: boolean } = {},
): Buffer {
  const name = global ? 'pax_global_header' : 'PaxHeader/entry';
  return rawEntry({ name, type: global ? 'g' : 'x' }, Buffer.concat([...records]));
}

/** A GNU long name (`L`) or long link name (`K`) for the next entry. */
export function gnuLongName(type: 'L' | 'K', text: string): Buffer {
  return rawEntry({ name: '././@LongLink', type, magic: 'ustar  \0' }, `${text}\0`);
}

/** A number in GNU base-256 form, for header fields octal cannot hold. */
export function base256(value: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let rest = BigInt.asUintN(length * 8, value);
  for (let index = length - 1; index >= 0; index -= 1) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return bytes;
}

/** Entries and the end of the archive. */
export function rawArchive(entries: Iterable<Uint8Array>): Buffer {
  return Buffer.concat([...entries, END_OF_ARCHIVE]);
}

function fieldBytes(value: RawField, length: number): Buffer {
  if (typeof value === 'number') return Buffer.from(`${value.toString(8).padStart(length - 1, '0')}\0`);
  return Buffer.from(value);
}
