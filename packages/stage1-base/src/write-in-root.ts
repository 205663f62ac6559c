// Makes what is missing in an app's root: directories, empty files to mount over, links. The root was filled by an
// image, so every name is resolved inside it by the kernel. Runs in the run entry point, on the host.

import { closeSync, fchmodSync, fchownSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import {
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  S_IFDIR,
  S_IFMT,
} from '@rkt/linux/constants';
import type { FileStatus, Kernel } from '@rkt/linux/kernel';
import {
  openBeneath,
  openDirectoryInRoot,
  openInRoot,
  openRoot,
  resolveInRootFd,
} from '@rkt/linux/safe-path';

const PARENT_MODE = 0o755;

/** Owner of what is made: the shifted root of a pod with user namespaces. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A tree to write into. Paths are absolute as seen from inside the tree. */
export class RootWriter implements Disposable {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #owner: Owner | undefined;

  /** @throws KernelError when `root` is no directory */
  constructor(kernel: Kernel, root: string, owner?: Owner) {
    this.#kernel = kernel;
    this.#fd = openRoot(root);
    this.#owner = owner;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** Whether `name` leads to anything, symbolic links followed inside. */
  exists(name: string): boolean {
    return this.#leadsTo(name);
  }

  /** Whether `name` leads to a directory, symbolic links followed inside. */
  isDirectory(name: string): boolean {
    return this.#leadsTo(path.posix.join(name, '/'));
  }

  /** The status of `name` itself, a link not followed; undefined when it does not exist. */
  status(name: string): FileStatus | undefined {
    try {
      return this.#inParent(name, (parent, base) => this.#kernel.statAt(parent, base, AT_SYMLINK_NOFOLLOW));
    } catch (error) {
      if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  /**
   * Makes a directory with exactly this mode, and its parents; an existing one stays as it is.
   * @throws KernelError ENOTDIR when something else is in its place
   */
  directory(name: string, mode: number): void {
    if (this.isDirectory(name)) return;
    const place = resolveInRootFd(this.#fd, name);
    this.#inParent(place, (parent, base) => {
      this.#kernel.mkdirAt(parent, base, mode);
      this.#kernel.fchmodAt(parent, base, mode);
      if (this.#owner !== undefined) {
        this.#kernel.fchownAt(parent, base, this.#owner.uid, this.#owner.gid, AT_SYMLINK_NOFOLLOW);
      }
    });
  }

  /** Makes an empty file where nothing is, behind dangling links too; returns where it is, free of links. */
  file(name: string, mode: number): string {
    const place = resolveInRootFd(this.#fd, name);
    try {
      this.#inParent(place, (parent, base) => {
        const fd = openBeneath(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        try {
          fchmodSync(fd, mode);
          if (this.#owner !== undefined) fchownSync(fd, this.#owner.uid, this.#owner.gid);
        } finally {
          closeSync(fd);
        }
      });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    return place;
  }

  /** Makes a symbolic link unless something has that name already. */
  link(target: string, name: string): void {
    try {
      this.#inParent(name, (parent, base) => {
        this.#kernel.symlinkAt(target, parent, base);
        if (this.#owner !== undefined) {
          this.#kernel.fchownAt(parent, base, this.#owner.uid, this.#owner.gid, AT_SYMLINK_NOFOLLOW);
        }
      });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }

  /** Removes `name` itself unless it is a directory or missing. */
  removeUnlessDirectory(name: string): void {
    const status = this.status(name);
    if (status === undefined || (status.mode & S_IFMT) === S_IFDIR) return;
    this.#inParent(name, (parent, base) => this.#kernel.unlinkAt(parent, base, 0));
  }

  #leadsTo(name: string): boolean {
    try {
      closeSync(openInRoot(this.#fd, name, O_PATH));
      return true;
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].some((code) => hasCode(error, code))) return false;
      throw error;
    }
  }

  #inParent<T>(name: string, use: (parent: number, base: string) => T): T {
    const parent = openDirectoryInRoot(this.#fd, path.posix.dirname(name), PARENT_MODE);
    try {
      return use(parent, path.posix.basename(name));
    } finally {
      closeSync(parent);
    }
  }
}
