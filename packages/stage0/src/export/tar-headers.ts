// Tar headers for trees with every kind of node: node-tar's Header for the block, and pax records for what the block
// cannot hold: long or non-ASCII names, sub-second times, extended attributes. Pure. Runs in stage0.

import { Header } from 'tar/header';

/** Tar's unit: headers, and the padding of contents. */
export const BLOCK_SIZE = 512;

export type EntryType =
  'File' | 'Link' | 'SymbolicLink' | 'CharacterDevice' | 'BlockDevice' | 'Directory' | 'FIFO';

/** What a header says of one entry; names are bytes, as the file system has them. */
export interface TarEntry {
  readonly name: Buffer;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly linkName?: Buffer;
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
  readonly xattrs?: ReadonlyMap<string, Buffer>;
  /** Further pax records, such as the map of a sparse file. */
  readonly records?: ReadonlyMap<string, string>;
}

const NAME_FIELD_BYTES = 100;
// Largest number seven octal digits hold: what the uid and gid fields of a plain header can say.
const OCTAL_ID_MAX = 0o7777777;
const NS_PER_SECOND = 1_000_000_000n;

/** The header blocks of an entry; its content, if it has any, follows. */
export function encodeHeaders(entry: TarEntry): Buffer {
  const records = paxRecords(entry);
  const main = headerBlock(entry, entry.name, entry.type, entry.sizeBytes);
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const name = Buffer.from(
    `PaxHeader/${entry.name
      .subarray(-80)
      .toString('latin1')
      .replace(/[^\x21-\x7e]/g, '_')}`,
  );
  const head = headerBlock({ ...entry, mode: 0o644, xattrs: new Map() }, name, 'ExtendedHeader', body.length);
  return Buffer.concat([head, body, padding(body.length), main]);
}

/** Zero bytes that fill content of `sizeBytes` up to a whole block. */
export function padding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK_SIZE - (sizeBytes % BLOCK_SIZE)) % BLOCK_SIZE);
}

function headerBlock(
  { mode, uid, gid, mtimeNs, linkName, deviceMajor, deviceMinor }: TarEntry,
  name: Buffer,
  type: EntryType | 'ExtendedHeader',
  sizeBytes: number,
): Buffer {
  const header = new Header({
    path: fieldText(name),
    type,
    mode: mode & 0o7777,
    uid: Math.min(uid, OCTAL_ID_MAX),
    gid: Math.min(gid, OCTAL_ID_MAX),
    size: sizeBytes,
    mtime: new Date(Number(mtimeNs < 0n ? 0n : mtimeNs / NS_PER_SECOND) * 1000),
    ...(linkName !== undefined && type !== 'ExtendedHeader' && { linkpath: fieldText(linkName) }),
    ...(deviceMajor !== undefined && { devmaj: deviceMajor }),
    ...(deviceMinor !== undefined && { devmin: deviceMinor }),
  });
  const block = Buffer.alloc(BLOCK_SIZE);
  header.encode(block, 0);
  return block;
}

// What does not fit the field is cut here and said in full by a pax record.
function fieldText(name: Buffer): string {
  return name
    .subarray(0, NAME_FIELD_BYTES)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '_');
}

function paxRecords({ name, linkName, uid, gid, mtimeNs, xattrs, records: further }: TarEntry): Buffer[] {
  const records: Buffer[] = [];
  if (!fitsField(name)) records.push(paxRecord('path', name));
  if (linkName !== undefined && !fitsField(linkName)) records.push(paxRecord('linkpath', linkName));
  if (uid > OCTAL_ID_MAX) records.push(paxRecord('uid', Buffer.from(String(uid))));
  if (gid > OCTAL_ID_MAX) records.push(paxRecord('gid', Buffer.from(String(gid))));
  if (mtimeNs < 0n || mtimeNs % NS_PER_SECOND !== 0n)
    records.push(paxRecord('mtime', Buffer.from(seconds(mtimeNs))));
  for (const [key, value] of xattrs ?? []) records.push(paxRecord(`SCHILY.xattr.${key}`, value));
  for (const [key, value] of further ?? []) records.push(paxRecord(key, Buffer.from(value)));
  return records;
}

function fitsField(name: Buffer): boolean {
  return name.length <= NAME_FIELD_BYTES && name.every((byte) => byte >= 0x20 && byte < 0x7f);
}

function seconds(ns: bigint): string {
  const [sign, magnitude] = ns < 0n ? ['-', -ns] : ['', ns];
  const fraction = String(magnitude % NS_PER_SECOND).padStart(9, '0');
  return `${sign}${magnitude / NS_PER_SECOND}.${fraction}`;
}

// `LENGTH KEY=VALUE\n`, where LENGTH counts its own digits.
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
