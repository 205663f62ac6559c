// Copies a directory tree with everything that belongs to its files: owners, modes, times, links, devices, extended
// attributes. (fs.cpSync loses owners and hard links.) Runs in stage0.

import { closeSync, constants, lstatSync, openSync, readSync, type Stats } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { Kernel } from '@rkt/linux/kernel';

import type { SparseSegment } from '../unpack/sparse.ts';
import type { EntryType, TarEntry } from '../unpack/tar-entry.ts';
import { TreeWriter, type TreeWriterOptions } from '../unpack/tree-writer.ts';
import { deviceNumbers, linkTarget, walkTree, type WalkedEntry } from './walk-tree.ts';

const BUFFER_BYTES = 1024 * 1024;
const HOLE_BYTES = 4096;
const ZEROS = Buffer.alloc(HOLE_BYTES);
// Unit of st_blocks.
const STAT_BLOCK_BYTES = 512;
const NOTHING = Buffer.alloc(0);

/** Copies all that is below `source`, and what `source` itself says, to the existing directory `target`. */
export function copyTree(source: string, target: string, kernel: Kernel, options: TreeWriterOptions): void {
  const writer = new TreeWriter(kernel, target, options);
  try {
    const root = Buffer.from(source);
    const stats = withKernelErrors(root, () => lstatSync(root));
    writer.entry('', entryOf({ path: '', absolute: root, stats, linkTo: undefined }, kernel), '');
    writer.endEntry();
    for (const entry of walkTree(source)) copyEntry(entry, writer, kernel);
    writer.finish();
  } finally {
    writer.abort();
  }
}

function copyEntry(entry: WalkedEntry, writer: TreeWriter, kernel: Kernel): void {
  const described = entryOf(entry, kernel);
  if (entry.linkTo === undefined && entry.stats.isFile()) {
    withKernelErrors(entry.absolute, () => copyFile(entry, described, writer));
  } else {
    writer.entry(entry.path, described, entry.linkTo ?? '');
    writer.endEntry();
  }
}

function copyFile({ path, absolute, stats }: WalkedEntry, entry: TarEntry, writer: TreeWriter): void {
  const fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const hasHoles = stats.blocks * STAT_BLOCK_BYTES < stats.size;
    const segments = hasHoles ? findData(fd) : [{ offset: 0, size: stats.size }];
    const sparse = hasHoles ? { realSize: stats.size, segments } : undefined;
    writer.entry(path, { ...entry, sparse }, '');
    for (const segment of segments) {
      for (const bytes of readPieces(fd, segment)) writer.data(bytes);
    }
    writer.endEntry();
  } finally {
    closeSync(fd);
  }
}

// Node has no lseek: what is zeros in whole blocks becomes a hole again.
function findData(fd: number): SparseSegment[] {
  const segments: { offset: number; size: number }[] = [];
  let position = 0;
  for (const bytes of readPieces(fd, { offset: 0, size: Number.MAX_SAFE_INTEGER })) {
    for (let at = 0; at < bytes.length; at += HOLE_BYTES) {
      const block = bytes.subarray(at, at + HOLE_BYTES);
      if (ZEROS.compare(block, 0, block.length, 0, block.length) === 0) continue;
      const last = segments.at(-1);
      if (last !== undefined && last.offset + last.size === position + at) last.size += block.length;
      else segments.push({ offset: position + at, size: block.length });
    }
    position += bytes.length;
  }
  return segments;
}

function* readPieces(fd: number, { offset, size }: SparseSegment): Generator<Buffer, void, undefined> {
  const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, size));
  for (let done = 0; done < size;) {
    const length = readSync(fd, buffer, 0, Math.min(buffer.length, size - done), offset + done);
    if (length === 0) return;
    yield buffer.subarray(0, length);
    done += length;
  }
}

function entryOf(entry: WalkedEntry, kernel: Kernel): TarEntry {
  const { absolute, stats } = entry;
  const { mtimeNs, atimeNs } = lstatSync(absolute, { bigint: true });
  const { major, minor } = deviceNumbers(stats.rdev);
  const isLink = stats.isSymbolicLink();
  return {
    type: entry.linkTo === undefined ? typeOf(stats) : 'hardlink',
    name: NOTHING,
    linkName: isLink ? linkTarget(absolute) : NOTHING,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    size: stats.isFile() ? stats.size : 0,
    mtimeNs,
    atimeNs,
    devMajor: major,
    devMinor: minor,
    xattrs: isLink ? undefined : xattrsOf(absolute, kernel),
    sparse: undefined,
  };
}

function typeOf(stats: Stats): EntryType {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFile()) return 'file';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isCharacterDevice()) return 'char';
  return stats.isBlockDevice() ? 'block' : 'fifo';
}

function xattrsOf(file: Buffer, kernel: Kernel): Map<string, Buffer> | undefined {
  try {
    const names = kernel.llistXattr(file);
    return names.length === 0
      ? undefined
      : new Map(names.map((name) => [name, kernel.lgetXattr(file, name)]));
  } catch (error) {
    if (hasCode(error, 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}
