// The hash of a tree: changes with any name, type, mode, owner, link, device, extended attribute or content, not with
// times (contract stage0 7.7). Runs in stage0.
//
// Contents enter by their digest, so that what was hashed while it was written need not be read again.

import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { Kernel } from '@rkt/linux/kernel';

import type { ContentDigests } from '../unpack/tree-writer.ts';
import type { BytePath } from '../unpack/byte-path.ts';
import { deviceNumbers, linkTarget, type WalkedEntry, walkTree } from './walk-tree.ts';

/** The result of {@link hashTree}. */
export interface TreeHash {
  /** `sha512-` and 64 hex digits. */
  readonly hash: string;
  /** Sum of st_size of everything below, further names of one file not counted. */
  readonly sizeBytes: number;
}

/**
 * Hashes the tree below `root`.
 * @param digests Of files that were just written; all others are read.
 */
export function hashTree(
  root: string,
  kernel: Kernel,
  digests: ContentDigests = new Map(),
  skip?: (path: string) => boolean,
): TreeHash {
  const hash = createHash('sha512');
  const reader = new XattrReader(kernel);
  let sizeBytes = 0;
  for (const entry of walkTree(root, skip)) {
    hash.update(`${JSON.stringify(treeRecord(entry, reader))}\n`);
    if (entry.linkTo === undefined) {
      sizeBytes += entry.stats.size;
      if (entry.stats.isFile()) hash.update(`${digestOf(entry, digests)}\n`);
    }
  }
  return { hash: `sha512-${hash.digest('hex').slice(0, 64)}`, sizeBytes };
}

/** What the hash takes in of an entry, in Go rkt's order of fields. Names are bytes, one character each. */
export interface TreeRecord {
  readonly Name: BytePath;
  readonly Mode: number;
  readonly UID: number;
  readonly GID: number;
  readonly Size: number;
  /** That of tar. */
  readonly Typeflag: string;
  readonly Linkname: BytePath;
  readonly Devmajor: number;
  readonly Devminor: number;
  readonly Xattrs: readonly { readonly Name: string; readonly Value: string }[];
}

/** Describes one entry of a walk. @throws KernelError */
export function treeRecord({ path, absolute, stats, linkTo }: WalkedEntry, xattrs: XattrReader): TreeRecord {
  const isDevice = stats.isCharacterDevice() || stats.isBlockDevice();
  const { major, minor } = isDevice ? deviceNumbers(stats.rdev) : { major: 0, minor: 0 };
  const link = linkTo ?? (stats.isSymbolicLink() ? linkTarget(absolute).toString('latin1') : '');
  return {
    Name: path,
    Mode: stats.mode & 0o7777,
    UID: stats.uid,
    GID: stats.gid,
    Size: stats.isFile() && linkTo === undefined ? stats.size : 0,
    Typeflag: linkTo === undefined ? typeFlag(stats) : '1',
    Linkname: link,
    Devmajor: major,
    Devminor: minor,
    Xattrs: linkTo === undefined && !stats.isSymbolicLink() ? xattrs.of(absolute) : [],
  };
}

function typeFlag(stats: WalkedEntry['stats']): string {
  if (stats.isFile()) return '0';
  if (stats.isSymbolicLink()) return '2';
  if (stats.isCharacterDevice()) return '3';
  if (stats.isBlockDevice()) return '4';
  if (stats.isDirectory()) return '5';
  return '6';
}

/** Asks once per file; file systems without extended attributes are asked once in all. */
export class XattrReader {
  readonly #kernel: Kernel;
  #supported = true;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Those that belong to the image, by name. */
  of(path: Buffer): { Name: string; Value: string }[] {
    if (!this.#supported) return [];
    let found: string[];
    try {
      found = this.#kernel.llistXattr(path);
    } catch (error) {
      if (!hasCode(error, 'EOPNOTSUPP')) throw error;
      this.#supported = false;
      return [];
    }
    // Labels of the host's security modules are no part of the image.
    return found
      .filter((name) => name === 'security.capability' || name.startsWith('user.'))
      .sort()
      .map((Name) => ({ Name, Value: this.#kernel.lgetXattr(path, Name).toString('base64') }));
  }
}

const EMPTY_DIGEST = createHash('sha256').digest('hex');

/** SHA-256 of a file's content, read unless it is among `digests`. */
export function digestOf({ stats, absolute }: WalkedEntry, digests: ContentDigests = new Map()): string {
  return stats.size === 0 ? EMPTY_DIGEST : (digests.get(stats.ino) ?? contentDigest(absolute));
}

const BUFFER_BYTES = 1024 * 1024;

function contentDigest(file: Buffer): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  withKernelErrors(file, () => {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      for (let length = 1; length > 0;) {
        length = readSync(fd, buffer, 0, buffer.length, null);
        hash.update(buffer.subarray(0, length));
      }
    } finally {
      closeSync(fd);
    }
  });
  return hash.digest('hex');
}
