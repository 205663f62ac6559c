// Real App Container images from a description, for tests. Runs in the test process.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { Header } from 'tar';

import type { ManifestJson } from './manifests.ts';
import { padded, paxEntry, paxRecord, rawArchive } from './raw-tar.ts';

/** How an image file is compressed. bzip2 and xz need the programs of that name. */
export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd';
export const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'bzip2', 'xz', 'zstd'];

/** What a path of an image is. */
export type AciFileType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** One path below the image's rootfs. */
export interface AciFile {
  /** With or without a leading slash. A trailing slash makes a directory unless `type` says otherwise. */
  readonly path: string;
  readonly type?: AciFileType;
  readonly content?: string | Uint8Array;
  /** Permission bits; 0755 for directories, 0777 for symlinks, 0644 otherwise. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch, with a fraction; text is written as it is into a pax header. */
  readonly mtime?: number | string;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
  /** Target of a symlink; path below rootfs of a hard link's target. */
  readonly linkname?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Data at these offsets, holes elsewhere; `content` is not used. Written as GNU sparse format 1.0. */
  readonly sparse?: { readonly size: number; readonly data: readonly SparseData[] };
}

/** Data of a sparse file. */
export interface SparseData {
  readonly offset: number;
  readonly content: string | Uint8Array;
}

/** What an image is made of. */
export interface AciDescription {
  /** Usually from `imageManifest()`; text is stored as it is. */
  readonly manifest: ManifestJson | string;
  readonly files?: readonly AciFile[];
  readonly compression?: Compression;
  /** Where the manifest stands in the archive; first by default. */
  readonly manifestLast?: boolean;
}

/** An image in memory. */
export interface BuiltAci {
  /** The file's bytes. */
  readonly bytes: Buffer;
  /** `sha512-` and 128 hex digits: the hash of the uncompressed archive. */
  readonly id: string;
  /** The first 71 characters of the id. */
  readonly key: string;
}

/** Builds an image. */
export function buildAci({
  manifest,
  files = [],
  compression = 'none',
  manifestLast = false,
}: AciDescription): BuiltAci {
  const hasRoot = files.some(({ path }) => rootfsPath(path) === 'rootfs');
  const root = hasRoot ? [] : [archiveEntry('rootfs', { path: '/', type: 'directory' })];
  const entries = [...root, ...files.map((file) => archiveEntry(rootfsPath(file.path), file))];
  const head = manifestEntry(manifest);
  const tar = rawArchive(manifestLast ? [...entries, head] : [head, ...entries]);
  return { ...imageIds(tar), bytes: compress(tar, compression) };
}

/** Builds an image into the file `path` and says what it is. */
export function writeAci(
  path: string,
  description: AciDescription,
): { path: string; id: string; key: string } {
  const { bytes, id, key } = buildAci(description);
  writeFileSync(path, bytes);
  return { path, id, key };
}

/** The id and the key of an uncompressed archive. */
export function imageIds(tar: Uint8Array): { id: string; key: string } {
  const id = `sha512-${createHash('sha512').update(tar).digest('hex')}`;
  return { id, key: id.slice(0, 'sha512-'.length + 64) };
}

/**
 * Packs the directory `root` as the rootfs of an image with GNU tar: owners, devices, links, xattrs and sub-second
 * times as they are on disk. Needs root where `root` holds files of others.
 *
 * @throws {Error} when tar fails.
 */
export function aciFromDirectory(
  root: string,
  manifest: ManifestJson,
  output: string,
  compression: Compression = 'none',
): void {
  const tarFile = `${output}.tar`;
  writeFileSync(tarFile, rawArchive([manifestEntry(manifest)]));
  const args = ['--append', `--file=${tarFile}`, '--format=posix', '--numeric-owner', '--sort=name'];
  // Access and change times are left out so that packing the same tree twice gives the same image.
  args.push('--xattrs', '--xattrs-include=*', '--pax-option=delete=atime,delete=ctime');
  // Names and hard link targets get the prefix, symlink targets do not.
  run('tar', [...args, '--transform=flags=rh;s,^\\.,rootfs,', `--directory=${root}`, '.']);
  if (compression !== 'none') {
    run('sh', [
      '-c',
      `${compression} --stdout -- "$1" > "$1.packed" && mv -- "$1.packed" "$1"`,
      'sh',
      tarFile,
    ]);
  }
  renameSync(tarFile, output);
}

/** Compresses an archive. */
export function compress(tar: Uint8Array, compression: Compression): Buffer {
  if (compression === 'none') return Buffer.from(tar);
  if (compression === 'gzip') return gzipSync(tar, { level: 1 });
  if (compression === 'zstd') return zstdCompressSync(tar);
  return run(compression, ['--stdout', '-1'], tar);
}

const TAR_TYPES = {
  file: 'File',
  directory: 'Directory',
  symlink: 'SymbolicLink',
  hardlink: 'Link',
  char: 'CharacterDevice',
  block: 'BlockDevice',
  fifo: 'FIFO',
} as const;

function manifestEntry(manifest: ManifestJson | string): Buffer {
  const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
  return archiveEntry('manifest', { path: 'manifest', content: text });
}

/** One file as a layer of a docker image has it: names start at the root, without `rootfs/`. */
export function layerEntry(file: AciFile): Buffer {
  const name = (path: string): string => posix.join('/', path).slice(1).replace(/\/$/, '');
  const target = file.type === 'hardlink' ? { linkname: name(file.linkname ?? '') } : {};
  return archiveEntry(name(file.path), { ...file, ...target }, (path) => path);
}

function archiveEntry(path: string, file: AciFile, linkName: (path: string) => string = rootfsPath): Buffer {
  const type = file.type ?? (file.path.endsWith('/') ? 'directory' : 'file');
  const { records, name, body } =
    file.sparse === undefined ? plainBody(path, file) : sparseBody(path, file.sparse);
  const linkpath = type === 'hardlink' ? linkName(file.linkname ?? '') : file.linkname;
  const header = new Header({
    path: type === 'directory' ? `${name}/` : name,
    type: TAR_TYPES[type],
    mode: file.mode ?? defaultMode(type),
    uid: file.uid ?? 0,
    gid: file.gid ?? 0,
    size: body.length,
    mtime: new Date(typeof file.mtime === 'number' ? Math.max(0, Math.trunc(file.mtime)) * 1000 : 0),
    devmaj: file.major ?? 0,
    devmin: file.minor ?? 0,
    ...(linkpath === undefined ? {} : { linkpath }),
  });
  header.encode();
  const long = Buffer.byteLength(name) > 99 ? [paxRecord('path', name)] : [];
  const longLink =
    linkpath !== undefined && Buffer.byteLength(linkpath) > 99 ? [paxRecord('linkpath', linkpath)] : [];
  const pax = [...records, ...long, ...longLink, ...paxTime(file.mtime), ...paxXattrs(file.xattrs)];
  return Buffer.concat([
    ...(pax.length === 0 ? [] : [paxEntry(pax)]),
    header.block ?? Buffer.alloc(0),
    padded(body),
  ]);
}

interface EntryBody {
  readonly records: readonly Buffer[];
  readonly name: string;
  readonly body: Buffer;
}

function plainBody(path: string, { content = '' }: AciFile): EntryBody {
  return { records: [], name: path, body: Buffer.from(content) };
}

// GNU sparse format 1.0: the map of data extents stands in front of the data.
function sparseBody(path: string, { size, data }: NonNullable<AciFile['sparse']>): EntryBody {
  const extents = data.map(({ offset, content }) => ({ offset, bytes: Buffer.from(content) }));
  const last = extents.at(-1);
  // A final empty extent says where the file ends when that is in a hole.
  if ((last?.offset ?? 0) + (last?.bytes.length ?? 0) < size)
    extents.push({ offset: size, bytes: Buffer.alloc(0) });
  const map = [extents.length, ...extents.flatMap(({ offset, bytes }) => [offset, bytes.length])];
  const mapBytes = padded(Buffer.from(map.map((number) => `${number}\n`).join('')));
  return {
    records: [
      paxRecord('GNU.sparse.major', '1'),
      paxRecord('GNU.sparse.minor', '0'),
      paxRecord('GNU.sparse.name', path),
      paxRecord('GNU.sparse.realsize', String(size)),
    ],
    name: join(dirname(path), 'GNUSparseFile.0', basename(path)),
    body: Buffer.concat([mapBytes, ...extents.map(({ bytes }) => bytes)]),
  };
}

function paxTime(mtime: number | string | undefined): Buffer[] {
  if (mtime === undefined || (typeof mtime === 'number' && Number.isInteger(mtime) && mtime >= 0)) return [];
  return [paxRecord('mtime', String(mtime))];
}

function paxXattrs(xattrs: AciFile['xattrs'] = {}): Buffer[] {
  return Object.entries(xattrs).map(([key, value]) => paxRecord(`SCHILY.xattr.${key}`, value));
}

function rootfsPath(path: string): string {
  return posix.join('rootfs', path).replace(/\/$/, '');
}

function defaultMode(type: AciFileType): number {
  if (type === 'directory') return 0o755;
  return type === 'symlink' ? 0o777 : 0o644;
}

function run(program: string, args: readonly string[], input?: Uint8Array): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 2 ** 31 - 1 });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} failed: ${stderr.toString()}`);
  return stdout;
}
