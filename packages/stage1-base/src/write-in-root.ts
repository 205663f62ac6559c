// Makes what is missing in an app's root: directories, empty files to mount over, links. The root was filled by an
// image. Runs in the run entry point, on the host, before anything of the pod runs: nobody changes the root meanwhile.
//
// Names below directories that are no links are made directly, for speed. Where a link is on the way the kernel resolves
// the name inside the root.

import {
  closeSync,
  fchmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY } from '@rkt/linux/constants';
import { mkdirAllInRoot, openInRoot, openRoot, resolveInRootFd } from '@rkt/linux/safe-path';

const PARENT_MODE = 0o755;

/** Owner of what is made: the shifted root of a pod with user namespaces. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A tree to write into. Paths are absolute as seen from inside the tree, and made with exactly the given mode: the
 * caller's umask must be 0.
 */
export class RootWriter implements Disposable {
  readonly #root: string;
  readonly #owner: Owner | undefined;
  /** Directories of the tree that are known to be reached without links. */
  readonly #plain: Set<string> = new Set(['/']);
  #fd: number | undefined;

  constructor(root: string, owner?: Owner) {
    this.#root = root;
    this.#owner = owner;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  /** Whether `name` leads to anything, links followed inside the tree. */
  exists(name: string): boolean {
    const status = this.#plainStatus(name);
    if (status === 'missing') return false;
    if (status !== undefined && !status.isSymbolicLink()) return true;
    try {
      closeSync(openInRoot(this.#rootFd(), name, O_PATH));
      return true;
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].some((code) => hasCode(error, code))) return false;
      throw error;
    }
  }

  /** The status of `name` itself, which is not followed; undefined when it does not exist. */
  status(name: string): Stats | undefined {
    return lstatSync(this.#onHost(this.#place(name)), { throwIfNoEntry: false });
  }

  /**
   * Makes a directory and its parents; an existing one stays as it is.
   * @throws KernelError ENOTDIR when something else is in its place
   */
  directory(name: string, mode: number): void {
    const status = this.#plainStatus(name);
    if (status !== undefined && status !== 'missing' && status.isDirectory()) {
      this.#plain.add(name);
      return;
    }
    if (status === 'missing' && this.#plain.has(path.posix.dirname(name))) {
      mkdirSync(this.#onHost(name), { mode });
      this.#own(name);
      this.#plain.add(name);
      return;
    }
    mkdirAllInRoot(this.#rootFd(), name, mode);
  }

  /** Makes an empty file where nothing is, behind dangling links too; returns where it is, free of links. */
  file(name: string, mode: number): string {
    const place = resolveInRootFd(this.#rootFd(), name);
    mkdirAllInRoot(this.#rootFd(), path.posix.dirname(place), PARENT_MODE);
    try {
      const fd = openSync(this.#onHost(place), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
      fchmodSync(fd, mode);
      closeSync(fd);
      this.#own(place);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    return place;
  }

  /** Makes a symbolic link unless something has that name already. */
  link(target: string, name: string): void {
    const place = this.#place(name);
    try {
      symlinkSync(target, this.#onHost(place));
      this.#own(place);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }

  /** Removes `name` itself unless it is a directory or missing. */
  removeUnlessDirectory(name: string): void {
    const status = this.status(name);
    if (status !== undefined && !status.isDirectory()) unlinkSync(this.#onHost(this.#place(name)));
  }

  // The status of a name whose parents are no links; undefined when that is not known.
  #plainStatus(name: string): Stats | 'missing' | undefined {
    if (!this.#isPlain(path.posix.dirname(name))) return undefined;
    return lstatSync(this.#onHost(name), { throwIfNoEntry: false }) ?? 'missing';
  }

  #isPlain(directory: string): boolean {
    if (this.#plain.has(directory)) return true;
    if (!this.#isPlain(path.posix.dirname(directory))) return false;
    if (lstatSync(this.#onHost(directory), { throwIfNoEntry: false })?.isDirectory() !== true) return false;
    this.#plain.add(directory);
    return true;
  }

  // Where `name` is when the links on the way to it are followed inside the tree, but not the last component.
  #place(name: string): string {
    const parent = path.posix.dirname(name);
    return this.#isPlain(parent)
      ? name
      : path.posix.join(resolveInRootFd(this.#rootFd(), parent), path.posix.basename(name));
  }

  #own(place: string): void {
    if (this.#owner !== undefined) lchownSync(this.#onHost(place), this.#owner.uid, this.#owner.gid);
  }

  #onHost(place: string): string {
    return place === '/' ? this.#root : `${this.#root}${place}`;
  }

  #rootFd(): number {
    return (this.#fd ??= openRoot(this.#root));
  }
}
