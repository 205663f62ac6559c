// Copies a directory tree with everything that belongs to its files: owners, modes, times, links, devices, extended
// attributes, holes. (fs.cpSync loses owners and hard links.) Runs in stage0.
//
// The target is a directory of ours that nobody else can reach yet, so names are taken relative to descriptors and
// nothing is looked for twice. One directory is copied after the other, each whole: once its entries are there
// nothing in it changes any more, so it gets its own times and mode at once.

import { closeSync, fchmodSync, fchownSync, readdirSync, realpathSync } from 'node:fs';
import { relative } from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_NO_SYMLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '@rkt/linux/constants';
import { asKernelError, errnoText, KernelError, withKernelErrors } from '@rkt/linux/errno';
import type { FileStatus, Kernel } from '@rkt/linux/kernel';
import { openRoot, procFdPath } from '@rkt/linux/safe-path';

import { baseOf, type BytePath, parentOf, pathBytes, readable } from '../unpack/byte-path.ts';
import { shiftedId } from '../unpack/entry-policy.ts';
import { UnpackError } from '../unpack/errors.ts';
import type { TreeWriterOptions } from '../unpack/tree-writer.ts';
import { XattrWriter } from '../unpack/xattr-writer.ts';
import { CopyWork } from './copy-work.ts';
import { FileContents } from './file-contents.ts';
import type { SecondThread } from './second-thread.ts';

/** What a copy asks for beyond what all writers of trees do. */
export interface CopyOptions extends Omit<TreeWriterOptions, 'digests'> {
  /** Paths below the source that are not copied: the target gets symbolic links to them. */
  readonly linked?: ReadonlySet<BytePath>;
}

const OWNER_ACCESS = 0o700;
const OTHERS_WRITE = 0o022;
/** From here on the content of a file is work of its own. */
const LARGE_BYTES = 256 * 1024;
const PERMISSIONS = 0o7777;
/** What open(2) may give a file that is then written; setuid bits would be lost. */
const CREATED_PERMISSIONS = 0o777;
// Unit of st_blocks.
const STAT_BLOCK_BYTES = 512;
const CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const CREATE_FILE = { flags: CREATE, mode: 0o600 };
// Names that lead through directories which are done, and which others may write to by then: links would lead out.
const OPEN_FILE = { flags: O_WRONLY | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS };
const OPEN_DIRECTORY = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS };

/**
 * Copies all that is below `source`, and what `source` itself says, to the existing, empty directory `target`; sockets
 * are left out. A second thread takes part, if there is one.
 * @throws UnpackError, KernelError
 */
export async function copyTree(
  source: string,
  target: string,
  kernel: Kernel,
  options: CopyOptions,
  second?: SecondThread,
): Promise<void> {
  // What both threads have to say about all files is said once.
  const said = new Set<string>();
  const warn = (message: string): void => {
    if (!said.has(message)) options.warn(message);
    said.add(message);
  };
  using copy = new TreeCopy(source, target, kernel, { ...options, warn }, new CopyWork());
  copy.begin();
  // Modes of directories that lock their owner out are set when all is done, by the one who knows them all.
  const report = options.privileged
    ? second?.help({ source, target, options: { ...options, warn }, work: copy.work })
    : undefined;
  // A failure of its is for whoever waits for it.
  report?.catch(() => undefined);
  try {
    for (;;) {
      const { changes } = copy.work;
      const state = copy.next();
      if (state === 'end') break;
      if (state === 'wait') await Promise.race([copy.work.changed(changes), report]);
    }
  } catch (error) {
    copy.work.close();
    if (copy.work.joined) await report?.catch(() => undefined);
    throw error;
  }
  copy.work.close();
  const late = copy.work.joined ? await report : undefined;
  copy.finish(late?.linked ?? []);
}

/** A directory on both sides. */
interface Roots {
  readonly from: number;
  readonly to: number;
}

/** A directory that is being copied. */
interface Pair extends Roots {
  readonly path: BytePath;
  /** What the source said before it was read. */
  readonly status: FileStatus;
}

/** One thread's part of a copy. */
export class TreeCopy implements Disposable {
  readonly work: CopyWork;
  /** Names of files that have others: which of them is the first is for one thread to say. */
  readonly linked: BytePath[] = [];
  readonly #kernel: Kernel;
  readonly #options: CopyOptions;
  readonly #contents: FileContents;
  readonly #attributes: XattrWriter;
  readonly #source: number;
  readonly #target: number;
  /** The way from the target to the source. */
  readonly #wayBack: string;
  /** What becomes of new files, directories and links, by type and the mode they are made with. */
  readonly #born = new Map<number, FileStatus>();
  /** Modes that would lock us out, kept for the end; root is never locked out. */
  readonly #closed: { readonly path: BytePath; readonly mode: number }[] = [];

  constructor(source: string, target: string, kernel: Kernel, options: CopyOptions, work: CopyWork) {
    this.work = work;
    this.#kernel = kernel;
    this.#options = options;
    this.#contents = new FileContents(kernel);
    this.#attributes = new XattrWriter(kernel, options);
    this.#source = openRoot(source);
    this.#target = openRoot(target);
    this.#wayBack = relative(realpathSync(target), realpathSync(source));
  }

  begin(): void {
    this.work.add({ kind: 'directory', path: '' });
  }

  /** Copies one entry. `wait` when all that is left is with the other thread. */
  next(): 'copied' | 'wait' | 'end' {
    const item = this.work.take();
    if (item === 'wait') return 'wait';
    if (item === undefined) return 'end';
    if (item.kind === 'file') this.#largeFile(item.path);
    else this.#directory(item.path);
    this.work.done();
    return 'copied';
  }

  /** What is left for one thread, at the end: files with several names, those that another thread has met as well. */
  finish(linked: readonly BytePath[]): void {
    const firstNames = new Map<bigint, BytePath>();
    // So that the first name does not depend on who was faster.
    const names = [...this.linked, ...linked].sort();
    for (const path of names)
      this.#open(parentOf(path), (pair) => this.#guard(path, () => this.#linkedFile(pair, path, firstNames)));
    // Their directories have changed.
    for (const path of new Set(names.map(parentOf)))
      this.#open(path, ({ to, status }) => this.#kernel.utimensAt(to, null, status.atime, status.mtime, 0));
    // The deepest first: what is above may lock us out of it.
    for (const { path, mode } of this.#closed.sort((a, b) => b.path.length - a.path.length)) {
      this.#guard(path, () => this.#kernel.fchmodAt(this.#target, pathBytes(path || '.'), mode));
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#source);
    closeSync(this.#target);
  }

  #open(path: BytePath, use: (pair: Pair) => void): void {
    const name = pathBytes(path || '.');
    const from = withKernelErrors(name, () => this.#kernel.openAt2(this.#source, name, OPEN_DIRECTORY));
    let to: number | undefined;
    try {
      const status = this.#kernel.statAt(from, '.', 0);
      to = this.#guard(path, () => this.#kernel.openAt2(this.#target, name, OPEN_DIRECTORY));
      const pair = { path, from, to, status };
      this.#guard(path, () => use(pair));
    } finally {
      closeSync(from);
      if (to !== undefined) closeSync(to);
    }
  }

  // Directories in it are made, but empty.
  #directory(path: BytePath): void {
    this.#open(path, (pair) => {
      for (const entry of namesIn(pair.from)) {
        const entryPath = path === '' ? entry : `${path}/${entry}`;
        this.#guard(entryPath, () => this.#entry(pair, entryPath));
      }
      this.#endDirectory(pair);
    });
  }

  #entry(parent: Pair, path: BytePath): void {
    const name = pathBytes(baseOf(path));
    const status = this.#kernel.statAt(parent.from, name, AT_SYMLINK_NOFOLLOW);
    const type = status.mode & S_IFMT;
    if (this.#options.linked?.has(path) === true) {
      this.#kernel.symlinkAt(this.#sourceOf(path), parent.to, name);
      this.#describeByName(parent, name, path, { ...status, mode: S_IFLNK });
    } else if (type === S_IFDIR) {
      this.#kernel.mkdirAt(parent.to, name, directoryMode(status));
      this.work.add({ kind: 'directory', path });
    } else if (type !== S_IFSOCK) {
      if (status.linkCount > 1) this.linked.push(path);
      else this.#leaf(parent, name, path, status);
    }
  }

  #leaf(parent: Roots, name: Buffer, path: BytePath, status: FileStatus): void {
    const type = status.mode & S_IFMT;
    if (type === S_IFREG) this.#file(parent, name, path, status);
    else if (type === S_IFLNK) this.#symlink(parent, name, path, status, true);
    else if (type === S_IFCHR || type === S_IFBLK || type === S_IFIFO)
      this.#device(parent, name, path, status);
  }

  // Relative, so that it stays true when all that holds both is moved.
  #sourceOf(path: BytePath): Buffer {
    const up = '../'.repeat(path.split('/').length - 1);
    return Buffer.concat([Buffer.from(`${up}${this.#wayBack}/`), pathBytes(path)]);
  }

  #linkedFile(parent: Pair, path: BytePath, firstNames: Map<bigint, BytePath>): void {
    const name = pathBytes(baseOf(path));
    const status = this.#kernel.statAt(parent.from, name, AT_SYMLINK_NOFOLLOW);
    const first = firstNames.get(status.inode);
    if (first !== undefined) {
      const firstName = pathBytes(baseOf(first));
      return this.#open(parentOf(first), ({ to }) => this.#kernel.linkAt(to, firstName, parent.to, name, 0));
    }
    firstNames.set(status.inode, path);
    const type = status.mode & S_IFMT;
    // Its directory is done, and may hand down its group by now.
    if (type === S_IFLNK) return this.#symlink(parent, name, path, status, false);
    if (type !== S_IFREG) return this.#leaf(parent, name, path, status);
    this.#fill(parent, name, this.#kernel.openAt2(parent.to, name, CREATE_FILE), path, status);
  }

  // A large one is made here, so that its directory does not change later; its content is for whoever has time.
  #file(parent: Roots, name: Buffer, path: BytePath, status: FileStatus): void {
    if (status.sizeBytes >= LARGE_BYTES) {
      closeSync(this.#kernel.openAt2(parent.to, name, CREATE_FILE));
      this.work.add({ kind: 'file', path });
      return;
    }
    const mode = status.mode & CREATED_PERMISSIONS;
    const to = this.#kernel.openAt2(parent.to, name, { flags: CREATE, mode });
    const born = this.#bornAs(S_IFREG | mode, () => this.#kernel.statAt(to, '', AT_EMPTY_PATH));
    this.#fill(parent, name, to, path, status, born);
  }

  // Masks, groups and lists of directories and the file system have their say, but in all directories the same until
  // these are done: all are made by us, below one.
  #bornAs(typeAndMode: number, ask: () => FileStatus): FileStatus {
    let born = this.#born.get(typeAndMode);
    if (born === undefined) {
      born = ask();
      this.#born.set(typeAndMode, born);
    }
    return born;
  }

  #largeFile(path: BytePath): void {
    this.#guard(path, () => {
      const name = pathBytes(path);
      const status = this.#kernel.statAt(this.#source, name, AT_SYMLINK_NOFOLLOW);
      const to = this.#kernel.openAt2(this.#target, name, OPEN_FILE);
      this.#fill({ from: this.#source, to: this.#target }, name, to, path, status);
    });
  }

  // Closes `to`.
  #fill(
    parent: Roots,
    name: Buffer,
    to: number,
    path: BytePath,
    status: FileStatus,
    born?: FileStatus,
  ): void {
    let from: number | undefined;
    try {
      from = this.#kernel.openAt2(parent.from, name, { flags: O_RDONLY | O_NOFOLLOW });
      const hasHoles = status.blocks * STAT_BLOCK_BYTES < status.sizeBytes;
      this.#contents.copy({ from, to, sizeBytes: status.sizeBytes, hasHoles });
      this.#describe(from, to, path, status, born);
    } finally {
      if (from !== undefined) closeSync(from);
      closeSync(to);
    }
  }

  #endDirectory({ path, from, to, status }: Pair): void {
    const mode = status.mode & PERMISSIONS;
    if (this.#options.privileged || (mode & OWNER_ACCESS) === OWNER_ACCESS) {
      // The target itself was made by others.
      const key = S_IFDIR | directoryMode(status);
      const born =
        path === '' ? undefined : this.#bornAs(key, () => this.#kernel.statAt(to, '', AT_EMPTY_PATH));
      this.#describe(from, to, path, status, born);
      return;
    }
    this.#closed.push({ path, mode });
    this.#describe(from, to, path, { ...status, mode: status.mode | OWNER_ACCESS });
  }

  // Writing and chown clear setuid bits and file capabilities, so the order is: owner, mode, attributes, time. What the
  // file was born with is left.
  #describe(from: number, to: number, path: BytePath, status: FileStatus, born?: FileStatus): void {
    const { uid, gid } = this.#owner(path, status);
    if (this.#options.privileged && (born?.uid !== uid || born.gid !== gid)) fchownSync(to, uid, gid);
    const mode = status.mode & PERMISSIONS;
    if (born === undefined || (born.mode & PERMISSIONS) !== mode) fchmodSync(to, mode);
    const names = this.#xattrNames(from);
    if (names.length > 0) {
      const xattrs = new Map(names.map((name) => [name, this.#kernel.fgetXattr(from, name)]));
      if (this.#attributes.wants({ xattrs })) this.#attributes.set(to, path, { xattrs });
    }
    this.#kernel.utimensAt(to, null, status.atime, status.mtime, 0);
  }

  #xattrNames(fd: number): string[] {
    try {
      return this.#kernel.flistXattr(fd);
    } catch (error) {
      if (hasCode(error, 'EOPNOTSUPP')) return [];
      throw error;
    }
  }

  #symlink(parent: Roots, name: Buffer, path: BytePath, status: FileStatus, isBornAlike: boolean): void {
    this.#kernel.symlinkAt(this.#kernel.readlinkBytesAt(parent.from, name), parent.to, name);
    const born = isBornAlike
      ? this.#bornAs(S_IFLNK, () => this.#kernel.statAt(parent.to, name, AT_SYMLINK_NOFOLLOW))
      : undefined;
    this.#describeByName(parent, name, path, status, born);
  }

  // Devices and fifos are made by name and never opened.
  #device(parent: Roots, name: Buffer, path: BytePath, status: FileStatus): void {
    const type = status.mode & S_IFMT;
    if (!this.#options.privileged && type !== S_IFIFO) {
      this.#options.warn(`skipping device node ${readable(path)}: only root can make it`);
      return;
    }
    this.#kernel.mknodAt(parent.to, name, type | 0o600, status.rdevMajor, status.rdevMinor);
    this.#describeByName(parent, name, path, status);
  }

  #describeByName({ to }: Roots, name: Buffer, path: BytePath, status: FileStatus, born?: FileStatus): void {
    const { uid, gid } = this.#owner(path, status);
    if (this.#options.privileged && (born?.uid !== uid || born.gid !== gid))
      this.#kernel.fchownAt(to, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    if ((status.mode & S_IFMT) !== S_IFLNK) this.#kernel.fchmodAt(to, name, status.mode & PERMISSIONS);
    this.#kernel.utimensAt(to, name, status.atime, status.mtime, AT_SYMLINK_NOFOLLOW);
  }

  #owner(path: BytePath, { uid, gid }: FileStatus): { uid: number; gid: number } {
    const { uidShift = 0, gidShift = 0, idCount } = this.#options;
    return {
      uid: shiftedId(uid, uidShift, idCount, 'uid', path),
      gid: shiftedId(gid, gidShift, idCount, 'gid', path),
    };
  }

  #guard<Result>(path: BytePath, write: () => Result): Result {
    try {
      return write();
    } catch (error) {
      throw asWriteFailure(path, error);
    }
  }
}

// Says which entry could not be copied; the system call's own message would name a piece of the path.
function asWriteFailure(path: BytePath, error: unknown): unknown {
  if (error instanceof UnpackError) return error;
  const failure = asKernelError(error);
  const reason = failure instanceof KernelError ? errnoText(failure.errno) : (failure as Error).message;
  return new UnpackError('write-failed', `cannot write rootfs/${readable(path)}: ${reason}`);
}

/** What a directory is made with: its mode, if that lets us write in it, and nobody else. */
function directoryMode({ mode }: FileStatus): number {
  const isOurs = (mode & OWNER_ACCESS) === OWNER_ACCESS && (mode & OTHERS_WRITE) === 0;
  return isOurs ? mode & CREATED_PERMISSIONS : OWNER_ACCESS;
}

function namesIn(directory: number): BytePath[] {
  return readdirSync(procFdPath(directory), { encoding: 'latin1' });
}
