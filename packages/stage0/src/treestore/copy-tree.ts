// Copies a directory tree with everything that belongs to its files: owners, modes, times, links, devices, extended
// attributes. (fs.cpSync loses owners and hard links.) Runs in stage0.

import { closeSync, constants, lstatSync, openSync, readSync, type Stats } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { Kernel } from '@rkt/linux/kernel';

import type { EntryType, TarEntry } from '../unpack/tar-entry.ts';
import { TreeWriter, type TreeWriterOptions } from '../unpack/tree-writer.ts';
import { deviceNumbers, linkTarget, walkTree, type WalkedEntry } from './walk-tree.ts';

const BUFFER_BYTES = 1024 * 1024;
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
  writer.entry(entry.path, entryOf(entry, kernel), entry.linkTo ?? '');
  if (entry.linkTo === undefined && entry.stats.isFile()) copyContent(entry.absolute, writer);
  writer.endEntry();
}

function copyContent(file: Buffer, writer: TreeWriter): void {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  const fd = withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW));
  try {
    for (;;) {
      const length = withKernelErrors(file, () => readSync(fd, buffer, 0, buffer.length, null));
      if (length === 0) return;
      writer.data(buffer.subarray(0, length));
    }
  } finally {
    closeSync(fd);
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
