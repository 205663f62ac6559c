// Sets the extended attributes of an image's files, those that images may have (contract stage0 7.6). Runs in stage0.

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { Kernel } from '@rkt/linux/kernel';

import { type BytePath, readable } from './byte-path.ts';
import { keepsXattr } from './entry-policy.ts';
import type { TarEntry } from './tar-entry.ts';

/** What can be set, and who is told of what cannot. */
export interface XattrOptions {
  readonly privileged: boolean;
  readonly warn: (message: string) => void;
}

/** Warns once of each kind of attribute that is left out. */
export class XattrWriter {
  readonly #kernel: Kernel;
  readonly #options: XattrOptions;
  readonly #warned = new Set<string>();

  constructor(kernel: Kernel, options: XattrOptions) {
    this.#kernel = kernel;
    this.#options = options;
  }

  /** Whether {@link set} would do anything. */
  wants({ xattrs }: Pick<TarEntry, 'xattrs'>): boolean {
    return xattrs !== undefined && [...xattrs.keys()].some(keepsXattr);
  }

  /** Sets them on the open file. @throws KernelError */
  set(fd: number, path: BytePath, { xattrs }: Pick<TarEntry, 'xattrs'>): void {
    for (const [name, value] of xattrs ?? []) {
      if (keepsXattr(name)) this.#setOne(fd, path, name, value);
    }
  }

  #setOne(fd: number, path: BytePath, name: string, value: Buffer): void {
    if (name === 'security.capability' && !this.#options.privileged) {
      this.#warnOnce(
        `file capabilities of ${readable(path)} and others are left out: only root can set them`,
      );
      return;
    }
    try {
      this.#kernel.fsetXattr(fd, name, value, 0);
    } catch (error) {
      if (!hasCode(error, 'EOPNOTSUPP') || name === 'security.capability') throw error;
      this.#warnOnce(`extended attributes user.* are left out: the file system has none`);
    }
  }

  #warnOnce(message: string): void {
    const kind = message.slice(0, 20);
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#options.warn(message);
  }
}
