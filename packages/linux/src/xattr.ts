// Extended attributes of one file as a whole. Runs in stage0 (unpacking, hashing and copying trees).

import { KernelError, type PathBytes } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './libc.ts';

/** One extended attribute; names are bytes, as they need not be UTF-8. */
export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

/**
 * All attributes of a file or of a symbolic link itself, sorted by name; none where the file system has no
 * attributes. Attributes that vanish meanwhile are left out.
 */
export function readXattrs(path: PathBytes, kernel: Kernel = openKernel()): Xattr[] {
  const names = absentAs([], ['EOPNOTSUPP'], () => kernel.llistXattrBytes(path));
  const found: Xattr[] = [];
  for (const name of names.sort(Buffer.compare)) {
    const value = absentAs(undefined, ['ENODATA'], () => kernel.lgetXattr(path, name));
    if (value !== undefined) found.push({ name, value });
  }
  return found;
}

/** The value of one attribute, or undefined when the file has none of that name or the file system has none at all. */
export function readXattr(path: PathBytes, name: string, kernel: Kernel = openKernel()): Buffer | undefined {
  return absentAs(undefined, ['ENODATA', 'EOPNOTSUPP'], () => kernel.lgetXattr(path, name));
}

/** Sets attributes on a file or on a symbolic link itself. */
export function writeXattrs(path: PathBytes, xattrs: Iterable<Xattr>, kernel: Kernel = openKernel()): void {
  for (const { name, value } of xattrs) kernel.lsetXattr(path, name, value);
}

/**
 * Whether the attribute steers overlayfs (whiteouts, opaque and redirected directories). An image must never set
 * one, or it could hide or pull in files of the layers below.
 */
export function isOverlayXattr(name: PathBytes): boolean {
  const text = typeof name === 'string' ? name : Buffer.from(name).toString('latin1');
  return /^(trusted|user)\.overlay(\.|$)/.test(text);
}

function absentAs<T>(absent: T, codes: readonly string[], read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof KernelError && codes.includes(error.code)) return absent;
    throw error;
  }
}
