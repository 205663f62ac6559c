// Writes the files of an image below a directory, as a process would whose root that directory is. Runs in stage0.
//
// Every name is resolved by openat2(2) from the descriptor of that directory, so no link in the tree leads outside.
// The descriptor of the last parent is kept: neighbours in an archive are neighbours in the tree. A directory has its
// times from the start, and again whenever we leave it: nothing about directories is remembered until the end, so
// that memory does not grow with their number.

import { closeSync, fchmodSync, fchownSync, fstatSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
} from '@rkt/linux/constants';
import { asKernelError, errnoText, KernelError } from '@rkt/linux/errno';
import type { Kernel } from '@rkt/linux/kernel';
import { openRoot } from '@rkt/linux/safe-path';

import { baseOf, type BytePath, parentOf, pathBytes, readable } from './byte-path.ts';
import { clampTime, shiftedId } from './entry-policy.ts';
import { refuse, UnpackError } from './errors.ts';
import { FileContent } from './file-content.ts';
import type { TarEntry } from './tar-entry.ts';
import { XattrWriter } from './xattr-writer.ts';

/** How files are written. */
export interface TreeWriterOptions {
  /** Added to every owner, for a pod in a user namespace. */
  readonly uidShift?: number;
  readonly gidShift?: number;
  /** Ids the user namespace has. */
  readonly idCount?: number;
  /** Owners, device nodes and file capabilities can be made; else they are left out. */
  readonly privileged: boolean;
  /** Collect the digest of every file's content. */
  readonly digests: boolean;
  readonly warn: (message: string) => void;
}

/** SHA-256 of file contents (hex) by inode number; not of empty files, nor of all files of a huge image. */
export type ContentDigests = ReadonlyMap<number, string>;

interface Times {
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
}

/** The directory that entries are being put into, and the times it has when none are. */
interface OpenParent {
  readonly path: BytePath;
  readonly fd: number;
  readonly times: Times;
}

const IMPLIED_MODE = 0o755;
// What we need ourselves to work in a directory.
const OWNER_ACCESS = 0o700;
// Memory must not grow with the image: whoever needs more reads the files again.
const MAX_DIGESTS = 200_000;
const RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
const DEVICE_TYPES = { char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;

/** Receives cleaned entries relative to the root of the tree. Call {@link finish} or {@link abort} at the end. */
export class TreeWriter {
  readonly #kernel: Kernel;
  readonly #options: TreeWriterOptions;
  readonly #rootFd: number;
  /** Modes that would lock us out, kept for the end; root is never locked out. */
  readonly #closed = new Map<BytePath, number>();
  readonly #digests = new Map<number, string>();
  readonly #attributes: XattrWriter;
  #parent: OpenParent | undefined;
  #rootTimes: Times | undefined;
  #file: { readonly path: BytePath; readonly entry: TarEntry; readonly content: FileContent } | undefined;
  #open = true;

  /** @param root An existing directory. */
  constructor(kernel: Kernel, root: string, options: TreeWriterOptions) {
    this.#kernel = kernel;
    this.#options = options;
    this.#rootFd = openRoot(root);
    this.#attributes = new XattrWriter(kernel, options);
  }

  /** Starts `entry` at `path`; `target` is where a hard link points. @throws UnpackError */
  entry(path: BytePath, entry: TarEntry, target: BytePath): void {
    this.#guard(path, () => {
      if (entry.type === 'directory') this.#directory(path, entry);
      else if (path === '') refuse('unsafe-entry', `entry rootfs is not a directory`);
      else if (entry.type === 'file') this.#beginFile(path, entry);
      else if (entry.type === 'hardlink') this.#hardLink(path, target);
      else if (entry.type === 'symlink') this.#symlink(path, entry);
      else this.#device(path, entry, entry.type);
    });
  }

  /** The next stored bytes of the current file. */
  data(bytes: Buffer): void {
    const file = this.#file;
    if (file !== undefined) this.#guard(file.path, () => file.content.write(bytes));
  }

  /** The current entry is complete. */
  endEntry(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#guard(file.path, () => this.#endFile(file));
    this.#file = undefined;
  }

  /** Gives directories the modes and times they must have, now that nothing changes in them any more. */
  finish(): ContentDigests {
    this.#guard('', () => this.#leaveParent());
    // The deepest first: what is above may lock us out of it.
    const closed = [...this.#closed].sort(([a], [b]) => b.length - a.length);
    for (const [path, mode] of closed) this.#guard(path, () => this.#close(path, mode));
    this.#guard('', () => this.#restoreTimes(this.#rootFd, this.#rootTimes));
    this.abort();
    return this.#digests;
  }

  /** Closes all descriptors; what was written stays. */
  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#parent !== undefined) closeSync(this.#parent.fd);
    this.#parent = undefined;
    this.#file?.content.close();
    this.#file = undefined;
    closeSync(this.#rootFd);
  }

  #directory(path: BytePath, entry: TarEntry): void {
    if (path === '') return this.#root(entry);
    const parent = this.#parentFd(path);
    const name = pathBytes(baseOf(path));
    try {
      this.#kernel.mkdirAt(parent, name, OWNER_ACCESS);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      // It may be the one we are in, whose times are about to be others.
      if (parent === this.#rootFd) this.#leaveParent();
      if (!this.#isDirectory(parent, name)) {
        this.#remove(parent, name, path);
        this.#kernel.mkdirAt(parent, name, OWNER_ACCESS);
      }
    }
    this.#chown(parent, name, path, entry);
    this.#kernel.fchmodAt(parent, name, this.#modeForNow(path, entry.mode));
    this.#xattrs(path, entry, () =>
      this.#kernel.openAt2(parent, name, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW }),
    );
    this.#setTimes(parent, name, entry);
  }

  #root(entry: TarEntry): void {
    this.#chown(this.#rootFd, '.', '', entry);
    this.#kernel.fchmodAt(this.#rootFd, '.', this.#modeForNow('', entry.mode));
    this.#xattrs('', entry, () => this.#kernel.openAt2(this.#rootFd, '.', { flags: O_RDONLY | O_DIRECTORY }));
    this.#rootTimes = timesOf(entry);
  }

  #modeForNow(path: BytePath, mode: number): number {
    this.#closed.delete(path);
    if (this.#options.privileged || (mode & OWNER_ACCESS) === OWNER_ACCESS) return mode;
    this.#closed.set(path, mode);
    return mode | OWNER_ACCESS;
  }

  #beginFile(path: BytePath, entry: TarEntry): void {
    const parent = this.#parentFd(path);
    const name = pathBytes(baseOf(path));
    const fd = this.#creating(parent, name, path, () =>
      this.#kernel.openAt2(parent, name, { flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 }),
    );
    this.#file = { path, entry, content: new FileContent(fd, entry, this.#options.digests) };
  }

  // Writing and chown clear setuid bits and file capabilities, so the order is: content, owner, mode, attributes, time.
  #endFile({ path, entry, content }: { path: BytePath; entry: TarEntry; content: FileContent }): void {
    const { fd } = content;
    try {
      const digest = content.finish();
      const { ino, uid, gid } = fstatSync(fd);
      if (this.#options.privileged) {
        const owner = this.#owner(path, entry);
        if (owner.uid !== uid || owner.gid !== gid) fchownSync(fd, owner.uid, owner.gid);
      }
      fchmodSync(fd, entry.mode);
      this.#xattrs(path, entry, () => fd);
      const { atimeNs, mtimeNs } = timesOf(entry);
      this.#kernel.utimensAt(fd, null, atimeNs, mtimeNs, 0);
      const isKept = entry.size > 0 && Number.isSafeInteger(ino) && this.#digests.size < MAX_DIGESTS;
      if (digest !== undefined && isKept) this.#digests.set(ino, digest);
    } finally {
      content.close();
    }
  }

  // Parents may be reached by links that stay inside; a link that would leave the root is refused rather than bent.
  #hardLink(path: BytePath, target: BytePath): void {
    const subject = `hard link rootfs/${readable(path)} to rootfs/${readable(target)}`;
    const parent = this.#parentFd(path);
    const name = pathBytes(baseOf(path));
    let targetParent: number;
    try {
      targetParent = this.#kernel.openAt2(this.#rootFd, pathBytes(parentOf(target) || '.'), {
        flags: O_PATH | O_DIRECTORY,
        resolve: RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
      });
    } catch (error) {
      if (hasCode(error, 'EXDEV')) refuse('unsafe-entry', `${subject}: target leads outside of the image`);
      if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR'))
        refuse('bad-archive', `${subject}: no such entry before it`);
      throw error;
    }
    try {
      if (path === target) return;
      this.#creating(parent, name, path, () =>
        this.#kernel.linkAt(targetParent, pathBytes(baseOf(target)), parent, name, 0),
      );
    } catch (error) {
      if (hasCode(error, 'ENOENT')) refuse('bad-archive', `${subject}: no such entry before it`);
      if (hasCode(error, 'EPERM')) refuse('unsafe-entry', `${subject}: target is a directory`);
      throw error;
    } finally {
      closeSync(targetParent);
    }
  }

  #symlink(path: BytePath, entry: TarEntry): void {
    if (entry.linkName.length === 0)
      refuse('bad-archive', `symbolic link rootfs/${readable(path)} has no target`);
    const parent = this.#parentFd(path);
    const name = pathBytes(baseOf(path));
    this.#creating(parent, name, path, () => this.#kernel.symlinkAt(entry.linkName, parent, name));
    this.#chown(parent, name, path, entry);
    this.#setTimes(parent, name, entry);
  }

  // Devices and fifos are made by name and never opened.
  #device(path: BytePath, entry: TarEntry, type: 'char' | 'block' | 'fifo'): void {
    if (!this.#options.privileged && type !== 'fifo') {
      this.#options.warn(`skipping device node ${readable(path)}: only root can make it`);
      return;
    }
    const { devMajor, devMinor } = type === 'fifo' ? { devMajor: 0, devMinor: 0 } : entry;
    if (devMajor < 0 || devMajor > 0xfff || devMinor < 0 || devMinor > 0xf_ffff) {
      refuse('unsafe-entry', `device node rootfs/${readable(path)}: no device ${devMajor}:${devMinor}`);
    }
    const parent = this.#parentFd(path);
    const name = pathBytes(baseOf(path));
    this.#creating(parent, name, path, () =>
      this.#kernel.mknodAt(parent, name, DEVICE_TYPES[type] | 0o600, devMajor, devMinor),
    );
    this.#chown(parent, name, path, entry);
    this.#kernel.fchmodAt(parent, name, entry.mode);
    this.#setTimes(parent, name, entry);
  }

  // The last of several entries with one name counts.
  #creating<Result>(parent: number, name: Buffer, path: BytePath, create: () => Result): Result {
    try {
      return create();
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    this.#remove(parent, name, path);
    return create();
  }

  #remove(parent: number, name: Buffer, path: BytePath): void {
    try {
      this.#kernel.unlinkAt(parent, name, 0);
    } catch (error) {
      if (!hasCode(error, 'EISDIR') && !hasCode(error, 'EPERM')) throw error;
      this.#removeDirectory(parent, name, path);
    }
  }

  #removeDirectory(parent: number, name: Buffer, path: BytePath): void {
    try {
      this.#kernel.unlinkAt(parent, name, AT_REMOVEDIR);
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY')) throw error;
      refuse('unsafe-entry', `entry rootfs/${readable(path)} replaces a directory that is not empty`);
    }
    this.#closed.delete(path);
  }

  #isDirectory(parent: number, name: Buffer): boolean {
    return (this.#kernel.statAt(parent, name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
  }

  #parentFd(path: BytePath): number {
    const parent = parentOf(path);
    if (parent === '') return this.#rootFd;
    if (this.#parent?.path === parent) return this.#parent.fd;
    const fd = this.#openOrMake(parent);
    this.#leaveParent();
    // After leaving: it may be the same directory by another name.
    const { atimeNs, mtimeNs } = fstatSync(fd, { bigint: true });
    this.#parent = { path: parent, fd, times: { atimeNs, mtimeNs } };
    return fd;
  }

  // What was put into it has changed its times.
  #leaveParent(): void {
    const parent = this.#parent;
    if (parent === undefined) return;
    this.#parent = undefined;
    try {
      this.#restoreTimes(parent.fd, parent.times);
    } finally {
      closeSync(parent.fd);
    }
  }

  #restoreTimes(fd: number, times: Times | undefined): void {
    if (times !== undefined) this.#kernel.utimensAt(fd, '.', times.atimeNs, times.mtimeNs, 0);
  }

  #openDirectory(path: BytePath): number | undefined {
    try {
      return this.#kernel.openAt2(this.#rootFd, pathBytes(path), {
        flags: O_PATH | O_DIRECTORY,
        resolve: RESOLVE,
      });
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      if (!hasCode(error, 'ENOTDIR') && !hasCode(error, 'ELOOP')) throw error;
      return refuse('unsafe-entry', `rootfs/${readable(path)} is needed as a directory but is none`);
    }
  }

  // Parents that no entry has named yet.
  #openOrMake(path: BytePath): number {
    const existing = this.#openDirectory(path);
    if (existing !== undefined) return existing;
    const above = parentOf(path);
    const parent = above === '' ? this.#rootFd : this.#openOrMake(above);
    try {
      this.#makeImplied(parent, pathBytes(baseOf(path)));
    } finally {
      if (parent !== this.#rootFd) closeSync(parent);
    }
    return (
      this.#openDirectory(path) ??
      refuse('unsafe-entry', `rootfs/${readable(path)} is needed as a directory but is a dangling link`)
    );
  }

  // It keeps the time it was made; the one above gets its own back.
  #makeImplied(parent: number, name: Buffer): void {
    const { atimeNs, mtimeNs } = fstatSync(parent, { bigint: true });
    try {
      this.#kernel.mkdirAt(parent, name, OWNER_ACCESS);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      throw error;
    }
    if (this.#options.privileged) {
      const { uidShift = 0, gidShift = 0 } = this.#options;
      this.#kernel.fchownAt(parent, name, uidShift, gidShift, AT_SYMLINK_NOFOLLOW);
    }
    this.#kernel.fchmodAt(parent, name, IMPLIED_MODE);
    this.#restoreTimes(parent, { atimeNs, mtimeNs });
  }

  #close(path: BytePath, mode: number): void {
    let fd: number;
    try {
      fd = this.#kernel.openAt2(this.#rootFd, pathBytes(path || '.'), {
        flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
        resolve: RESOLVE,
      });
    } catch (error) {
      // A later entry put something else in its place.
      if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR') || hasCode(error, 'ELOOP')) return;
      throw error;
    }
    try {
      fchmodSync(fd, mode);
    } finally {
      closeSync(fd);
    }
  }

  #owner(path: BytePath, { uid, gid }: TarEntry): { uid: number; gid: number } {
    const { uidShift = 0, gidShift = 0, idCount } = this.#options;
    return {
      uid: shiftedId(uid, uidShift, idCount, 'uid', path),
      gid: shiftedId(gid, gidShift, idCount, 'gid', path),
    };
  }

  #chown(parent: number, name: Buffer | string, path: BytePath, entry: TarEntry): void {
    if (!this.#options.privileged) return;
    const { uid, gid } = this.#owner(path, entry);
    this.#kernel.fchownAt(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
  }

  #setTimes(parent: number, name: Buffer, entry: TarEntry): void {
    const { atimeNs, mtimeNs } = timesOf(entry);
    this.#kernel.utimensAt(parent, name, atimeNs, mtimeNs, AT_SYMLINK_NOFOLLOW);
  }

  #xattrs(path: BytePath, entry: TarEntry, open: () => number): void {
    if (!this.#attributes.wants(entry)) return;
    const fd = open();
    try {
      this.#attributes.set(fd, path, entry);
    } finally {
      if (fd !== this.#file?.content.fd) closeSync(fd);
    }
  }

  // Says which entry could not be written; the system call's own message would name a piece of the path.
  #guard(path: BytePath, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (error instanceof UnpackError) throw error;
      const failure = asKernelError(error);
      const reason = failure instanceof KernelError ? errnoText(failure.errno) : (failure as Error).message;
      refuse('write-failed', `cannot write rootfs/${readable(path)}: ${reason}`);
    }
  }
}

function timesOf({ mtimeNs, atimeNs }: TarEntry): Times {
  const mtime = clampTime(mtimeNs);
  return { mtimeNs: mtime, atimeNs: clampTime(atimeNs ?? mtime) };
}
