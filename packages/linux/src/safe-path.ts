// Opens and makes files inside a directory tree that somebody else filled (an image, a pod's root), so that no
// name and no symbolic link in it leads outside. Runs in stage0 and stage1, on the host.
//
// openat2(2) resolves in the kernel, so nobody can swap a directory for a link between our check and our use.

import { closeSync, fstatSync, readSync } from 'node:fs';

import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from './constants.ts';
import { LinuxError } from './errors.ts';
import { KernelError, type PathBytes } from './errno.ts';
import { openKernel } from './libc.ts';

// As many as filepath-securejoin and rkt allow (contract stage1 2.23); the kernel's own limit is 40.
const MAX_LINKS = 255;

/** A descriptor (O_PATH) of a directory that the other functions take as the root of a tree; close it with closeSync. */
export function openRoot(path: PathBytes): number {
  return openKernel().openAt2(AT_FDCWD, path, { flags: O_PATH | O_DIRECTORY });
}

/**
 * Opens `path` as a process whose root directory is `rootFd` would: absolute names and links start there, and `..`
 * stays there. Links of /proc that jump elsewhere are refused (ELOOP). Add O_NONBLOCK or O_PATH for files of unknown
 * type, or a fifo blocks the process.
 */
export function openInRoot(rootFd: number, path: PathBytes, flags: number, mode = 0): number {
  return openKernel().openAt2(rootFd, path, how(flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
}

/** Options of {@link openBeneath}. */
export interface BeneathOptions {
  /** Refuse every symbolic link on the way (ELOOP), also those that stay inside. */
  readonly noSymlinks?: boolean;
}

/** Opens `path` below `rootFd`, and refuses with EXDEV whatever would leave it: `..`, absolute names, links. */
export function openBeneath(
  rootFd: number,
  path: PathBytes,
  flags: number,
  mode = 0,
  { noSymlinks = false }: BeneathOptions = {},
): number {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (noSymlinks ? RESOLVE_NO_SYMLINKS : 0);
  return openKernel().openAt2(rootFd, path, how(flags, mode, resolve));
}

// The kernel refuses a mode where nothing can be created.
function how(flags: number, mode: number, resolve: number): { flags: number; mode: number; resolve: number } {
  return { flags, mode: (flags & O_CREAT) === 0 ? 0 : mode, resolve };
}

/** A name for an open file: `/proc/self/fd/N`, for calls that take no descriptor. */
export function procFdPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/**
 * `readlink -m` inside `root`: every symbolic link resolved, components may be missing, `..` never leaves. The result
 * is absolute as seen from inside. Throws LinuxError `too-many-links` for more than 255 links (contract stage1 2.23).
 * The answer is a name, true while nobody changes the tree; open it with {@link openInRoot}.
 */
export function resolveInRoot(root: string, path: string): string {
  const rootFd = openRoot(root);
  try {
    return `/${resolveComponents(rootFd, path).join('/')}`;
  } finally {
    closeSync(rootFd);
  }
}

/** {@link resolveInRoot} for a root that is open already. */
export function resolveInRootFd(rootFd: number, path: string): string {
  return `/${resolveComponents(rootFd, path).join('/')}`;
}

function resolveComponents(rootFd: number, path: string): string[] {
  const resolved: string[] = [];
  // A stack: the next component is the last element.
  const pending = components(path).reverse();
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '..') {
      resolved.pop();
      continue;
    }
    resolved.push(name);
    const target = linkTarget(rootFd, resolved.join('/'));
    if (target === undefined) continue;
    links += 1;
    if (links > MAX_LINKS) {
      throw new LinuxError('too-many-links', `more than ${MAX_LINKS} symbolic links in path ${path}`);
    }
    if (target.startsWith('/')) resolved.length = 0;
    else resolved.pop();
    pending.push(...components(target).reverse());
  }
  return resolved;
}

function components(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

// The target of the symbolic link `path`, or undefined when it is something else or missing.
function linkTarget(rootFd: number, path: string): string | undefined {
  const kernel = openKernel();
  let fd: number;
  try {
    fd = openBeneath(rootFd, path, O_PATH | O_NOFOLLOW, 0, { noSymlinks: true });
  } catch (error) {
    if (error instanceof KernelError && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
  try {
    if (!fstatSync(fd).isSymbolicLink()) return undefined;
    const target = kernel.readlinkBytesAt(fd, '');
    const text = target.toString('utf8');
    if (Buffer.from(text, 'utf8').equals(target)) return text;
    throw new LinuxError('name-not-utf8', `target of symbolic link ${path} is not UTF-8`);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the directory `path` inside the root and all that are missing above it, as `mkdir -p` would after
 * `readlink -m`: also behind links whose targets do not exist. Existing directories are left as they are. `mode` is
 * subject to the umask. Throws ENOTDIR when a component is something else.
 */
export function mkdirAllInRoot(rootFd: number, path: string, mode: number): void {
  closeSync(openDirectoryInRoot(rootFd, path, mode));
}

/** {@link mkdirAllInRoot}, and returns the directory as an O_PATH descriptor for *at calls. */
export function openDirectoryInRoot(rootFd: number, path: string, mode: number): number {
  try {
    return openInRoot(rootFd, path === '' ? '/' : path, O_PATH | O_DIRECTORY);
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'ENOENT') throw error;
  }
  let fd = openInRoot(rootFd, '/', O_PATH | O_DIRECTORY);
  for (const name of resolveComponents(rootFd, path)) {
    const parent = fd;
    try {
      fd = enterOrMake(parent, name, mode);
    } finally {
      closeSync(parent);
    }
  }
  return fd;
}

function enterOrMake(parent: number, name: string, mode: number): number {
  const kernel = openKernel();
  for (let made = false; ; made = true) {
    try {
      return openBeneath(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, { noSymlinks: true });
    } catch (error) {
      if (made || !(error instanceof KernelError) || error.code !== 'ENOENT') throw error;
    }
    try {
      kernel.mkdirAt(parent, name, mode);
    } catch (error) {
      // Somebody else made it: as good.
      if (!(error instanceof KernelError) || error.code !== 'EEXIST') throw error;
    }
  }
}

/**
 * Reads a regular file inside the root, links followed inside. Throws KernelError, or LinuxError
 * `not-a-regular-file` (fifos and devices are never waited for) and `file-too-large` beyond `maxBytes`.
 */
export function readFileInRoot(rootFd: number, path: string, maxBytes: number): Buffer {
  const fd = openInRoot(rootFd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    if (!fstatSync(fd).isFile()) throw new LinuxError('not-a-regular-file', `${path} is not a regular file`);
    const chunks: Buffer[] = [];
    let total = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(65536);
      const length = readSync(fd, chunk);
      if (length === 0) return Buffer.concat(chunks, total);
      total += length;
      if (total > maxBytes)
        throw new LinuxError('file-too-large', `${path} is larger than ${maxBytes} bytes`);
      chunks.push(chunk.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
}
