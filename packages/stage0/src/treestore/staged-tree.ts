// A tree that is being unpacked while its image is read for the first time, before its ID is known. Runs in stage0.

import type { FileLock } from '@rkt/linux/file-lock';

import type { ContentDigests, TreeWriter } from '../unpack/tree-writer.ts';
import { removeDirectory } from './remove-directory.ts';

/** Lies in the scratch directory of the store until the tree store adopts it. */
export class StagedTree {
  readonly directory: string;
  /** Receives the files of the image. */
  readonly writer: TreeWriter;
  #digests: ContentDigests = new Map();
  #there = true;
  readonly #lock: FileLock;

  constructor(directory: string, writer: TreeWriter, lock: FileLock) {
    this.directory = directory;
    this.writer = writer;
    this.#lock = lock;
  }

  /** All files were written. */
  complete(): void {
    this.#digests = this.writer.finish();
  }

  /** Digests of the contents, once complete. */
  get digests(): ContentDigests {
    return this.#digests;
  }

  /** It has moved to its place. */
  adopted(): void {
    this.#there = false;
    this.#lock.release();
  }

  /** Deletes it, unless it was adopted. */
  discard(): void {
    this.writer.abort();
    if (this.#there) removeDirectory(this.directory);
    this.#there = false;
    this.#lock.release();
  }
}
