// Puts together what the headers of one entry say: the block itself, long names, pax records. Pure; runs in stage0.

import { printable } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';
import { paxInteger, type PaxRecords, paxTime } from './pax.ts';
import type { SparseMap } from './sparse.ts';
import type { EntryType, TarEntry } from './tar-entry.ts';
import type { TarHeader } from './tar-header.ts';

/** What came before the header block of the entry, and its size. */
export interface EntryExtras {
  readonly records: PaxRecords | undefined;
  readonly longName: Buffer | undefined;
  readonly longLink: Buffer | undefined;
  /** Bytes that follow in the archive. */
  readonly stored: number;
  readonly sparse: SparseMap | undefined;
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  // Contiguous files: a file system could lay them out in one piece.
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

const XATTR_PREFIX = 'SCHILY.xattr.';

/**
 * The entry; undefined for a volume label, which is none.
 * @throws UnpackError `unsupported` for other types, `bad-archive`
 */
export function entryOf(header: TarHeader, extras: EntryExtras, where: string): TarEntry | undefined {
  if (header.type === 'V') return undefined;
  const { records, stored, sparse } = extras;
  const name = nameOf(header, extras);
  const type = TYPES[header.type];
  if (type === undefined) {
    return refuse(
      'unsupported',
      `unsupported type: ${printable(header.type)} of entry ${printable(name.toString())}`,
    );
  }
  if (name.length === 0 || name.includes(0)) refuse('bad-archive', `entry without a proper name ${where}`);
  // Old archives have no type for directories.
  const isDirectory = type === 'directory' || (type === 'file' && name.at(-1) === 0x2f);
  return {
    type: isDirectory ? 'directory' : type,
    name,
    linkName: records?.get('linkpath') ?? extras.longLink ?? header.linkName,
    mode: header.mode,
    uid: (records && paxInteger(records, 'uid', where)) ?? header.uid,
    gid: (records && paxInteger(records, 'gid', where)) ?? header.gid,
    size: type === 'file' && !isDirectory ? (sparse?.realSize ?? stored) : 0,
    mtimeNs: (records && paxTime(records, 'mtime')) ?? wholeSeconds(header.mtime),
    atimeNs: records && paxTime(records, 'atime'),
    devMajor: (records && paxInteger(records, 'SCHILY.devmajor', where)) ?? header.devMajor,
    devMinor: (records && paxInteger(records, 'SCHILY.devminor', where)) ?? header.devMinor,
    xattrs: records && xattrsOf(records),
    sparse,
  };
}

function nameOf(header: TarHeader, { records, longName }: EntryExtras): Buffer {
  return records?.get('GNU.sparse.name') ?? records?.get('path') ?? longName ?? header.name;
}

/** Whether a global pax header may set `key`: not where it would change which files there are. */
export function isGlobalRecordAllowed(key: string): boolean {
  return (
    !['path', 'linkpath', 'size'].includes(key) &&
    !key.startsWith('GNU.sparse.') &&
    !key.startsWith('SCHILY.')
  );
}

function wholeSeconds(seconds: number): bigint {
  return Number.isFinite(seconds) ? BigInt(Math.floor(seconds)) * 1_000_000_000n : 0n;
}

function xattrsOf(records: PaxRecords): Map<string, Buffer> | undefined {
  let found: Map<string, Buffer> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_PREFIX)) continue;
    found ??= new Map<string, Buffer>();
    found.set(key.slice(XATTR_PREFIX.length), value);
  }
  return found;
}
