// Reads a directory tree in lexical order, each entry with its metadata; nothing is opened except directories.
// Runs in stage0.

import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';

import { withKernelErrors } from '@rkt/linux/errno';

import { type BytePath, pathBytes } from '../unpack/byte-path.ts';

/** One entry below the root of the walk. */
export interface WalkedEntry {
  readonly path: BytePath;
  /** For system calls. */
  readonly absolute: Buffer;
  readonly stats: Stats;
  /** Path of the first entry with the same inode, for further names of one file. */
  readonly linkTo: BytePath | undefined;
}

/** Yields every entry below `root`, parents before children, sockets left out. @throws KernelError */
export function* walkTree(
  root: string,
  skip: (path: BytePath) => boolean = () => false,
): Generator<WalkedEntry, void, undefined> {
  const base = Buffer.from(root).toString('latin1');
  const firstNames = new Map<string, BytePath>();
  const pending: BytePath[] = names(base).filter((name) => !skip(name));
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const absolute = pathBytes(`${base}/${path}`);
    const stats = withKernelErrors(absolute, () => lstatSync(absolute));
    if (stats.isSocket()) continue;
    const isShared = stats.nlink > 1 && !stats.isDirectory();
    const id = isShared ? `${stats.dev}:${stats.ino}` : '';
    const linkTo = isShared ? firstNames.get(id) : undefined;
    if (isShared && linkTo === undefined) firstNames.set(id, path);
    yield { path, absolute, stats, linkTo };
    if (stats.isDirectory()) {
      for (const name of names(`${base}/${path}`))
        if (!skip(`${path}/${name}`)) pending.push(`${path}/${name}`);
    }
  }
}

// In reverse, as the walk takes them from the end.
function names(directory: BytePath): BytePath[] {
  const bytes = pathBytes(directory);
  const found = withKernelErrors(bytes, () => readdirSync(bytes, { encoding: 'latin1' }));
  return found.sort().reverse();
}

/** The target of a symbolic link, as bytes. */
export function linkTarget(absolute: Buffer): Buffer {
  return withKernelErrors(absolute, () => readlinkSync(absolute, { encoding: 'buffer' }));
}

/** Major and minor number of a device, from st_rdev. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const value = BigInt(rdev);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)),
    minor: Number((value & 0xffn) | ((value >> 12n) & 0xffffff00n)),
  };
}
