// Brings a copy to the disk while the rest of it is made: most of the sync that follows is done by then. Runs in
// stage0, in its main thread.

import { closeSync, openSync } from 'node:fs';

import { KernelError } from '@rkt/linux/errno';
import type { Kernel } from '@rkt/linux/kernel';

/** After so many bytes of small files the next sync begins, if the one before has ended; less is not worth a process. */
export const EARLY_SYNC_BYTES: number = 8 * 1024 * 1024;

/** Syncs the file system of one directory, again and again, in a process beside us; never two at once. */
export class EarlySync implements Disposable {
  readonly #kernel: Kernel;
  readonly #directory: number;
  #next = EARLY_SYNC_BYTES;
  #child: number | undefined;

  constructor(kernel: Kernel, directory: string) {
    this.#kernel = kernel;
    this.#directory = openSync(directory, 'r');
  }

  /** So many bytes that wait for a sync were copied since the start. */
  copied(bytes: number): void {
    if (bytes < this.#next) return;
    if (this.#child !== undefined && !this.#kernel.hasEnded(this.#child)) return;
    this.#next = bytes + EARLY_SYNC_BYTES;
    this.#child = undefined;
    try {
      this.#child = this.#kernel.cloneSync(this.#directory);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // No room for a process: the sync that follows does it all.
      this.#next = Infinity;
    }
  }

  [Symbol.dispose](): void {
    this.#wait();
    closeSync(this.#directory);
  }

  #wait(): void {
    if (this.#child !== undefined) this.#kernel.waitPid(this.#child);
    this.#child = undefined;
  }
}
