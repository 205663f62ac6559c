// Makes, checks and deletes trees of the tree store (contract stage0 7.6, 7.7). Runs in stage0.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import type { Logger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type FileLock, lockDirectory, lockFile } from '@rkt/linux/file-lock';
import { openKernel } from '@rkt/linux/libc';
import {
  casTmpDir,
  type DataDir,
  TREE_DIR_MODE,
  treeDir,
  treeHashFile,
  treeImageFile,
  treeLockFile,
  treeLocksDir,
  treeManifest,
  treeRenderedMark,
  treeRootfs,
  treesDir,
} from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import { ensureDirectory } from '../store/directories.ts';
import { isKey } from '../store/resolve.ts';
import type { ImageStore } from '../store/store.ts';
import { type ContentDigests, TreeWriter, type TreeWriterOptions } from '../unpack/tree-writer.ts';
import { compareTrees } from './compare.ts';
import type { Layer } from './dependencies.ts';
import { hashTree, type TreeHash } from './hash.ts';
import { LayerFilter, type ProvidedPaths } from './layer-filter.ts';
import { readBlob } from './read-blob.ts';
import { removeDirectory } from './remove-directory.ts';
import { StagedTree } from './staged-tree.ts';
import { FILE_MODE, makeRoot, writeManifest, writerOptions } from './tree-root.ts';
import type { Differences, ExaminedTree, OwnerShift, TreeCheck } from './tree-store.ts';

/** The work behind TreeStore. */
export class TreeMaker {
  readonly #data: DataDir;
  readonly #store: ImageStore;
  readonly #logger: Logger;

  constructor(data: DataDir, store: ImageStore, logger: Logger) {
    this.#data = data;
    this.#store = store;
    this.#logger = logger;
  }

  /** Unpacks the tree `id` unless it is there. */
  make(id: string, layers: readonly Layer[]): void {
    using _lock = this.#lock(id);
    // Somebody else may have made it while we waited.
    if (this.#isRendered(id)) return;
    const directory = this.#path(id);
    this.#discard(id);
    ensureDirectory(treesDir(this.#data), TREE_DIR_MODE);
    try {
      makeTreeDirectory(directory);
      const digests = this.#unpackTo(treeRootfs(directory), layers, this.#withDigests());
      this.#complete(id, layers, this.#writeHash(directory, layers, digests));
    } catch (error) {
      removeDirectory(directory);
      throw error;
    }
  }

  /**
   * Unpacks a tree that is not as it should be again, tells how it differs, and puts the new one in its place.
   * When that fails the old one is gone: it must not be used.
   */
  replace(id: string, layers: readonly Layer[], report: (differences: Differences) => void): void {
    using _lock = this.#lock(id);
    const staged = this.stage();
    try {
      this.#unpack(staged.writer, layers);
      staged.complete();
      const wanted = { directory: staged.directory, digests: staged.digests };
      if (existsSync(this.#path(id))) {
        report(compareTrees(this.#path(id), wanted, openKernel(), isBookkeeping));
      }
      this.#put(staged, id, layers);
    } catch (error) {
      this.#discard(id);
      throw error;
    } finally {
      staged.discard();
    }
  }

  unpackInto(layers: readonly Layer[], directory: string, shift: OwnerShift): void {
    const rootfs = treeRootfs(directory);
    writeManifest(this.#store.readManifestText(topOf(layers)), directory);
    makeRoot(rootfs, shift);
    this.#unpackTo(rootfs, layers, { ...writerOptions(this.#logger, shift), digests: false });
  }

  check(id: string): TreeCheck {
    let wanted: string;
    try {
      wanted = readFileSync(treeHashFile(this.#path(id)), 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return { state: 'not-rendered' };
      throw error;
    }
    const { hash } = this.#hash(this.#path(id));
    if (hash === wanted) return { state: 'good' };
    return { state: 'damaged', reason: `wrong tree hash: ${hash}, expected: ${wanted}` };
  }

  /** What {@link check} says, and whether the rest of the tree's directory is as it should be; under its lock. */
  examine(id: string, hasTrueManifest: (image: ImageKey) => boolean): ExaminedTree {
    using _lock = this.#lock(id);
    const image = this.#imageOf(id);
    return { image, problem: this.#problem(id, image, hasTrueManifest) };
  }

  #problem(
    id: string,
    image: ImageKey | undefined,
    hasTrueManifest: (image: ImageKey) => boolean,
  ): string | undefined {
    if (!this.#isRendered(id)) return existsSync(this.#path(id)) ? 'it was never finished' : undefined;
    if (image === undefined || !isKey(image)) return 'it does not say which image it is of';
    const checked = this.check(id);
    if (checked.state === 'not-rendered') return 'its hash is missing';
    if (checked.state === 'damaged') return checked.reason;
    if (!hasTrueManifest(image)) return undefined;
    return this.#hasManifestOf(id, image) ? undefined : 'its manifest is not that of its image';
  }

  // An image that is no longer in the store, or damaged there, says nothing about its tree.
  #hasManifestOf(id: string, image: ImageKey): boolean {
    let wanted: string;
    try {
      wanted = this.#store.readManifestText(image);
    } catch {
      return true;
    }
    const file = treeManifest(this.#path(id));
    return existsSync(file) && readFileSync(file, 'utf8') === wanted;
  }

  remove(id: string): void {
    using _lock = this.#lock(id);
    const image = this.#imageOf(id);
    this.#discard(id);
    if (image !== undefined) this.#store.setTreeSize(image, 0);
  }

  stage(): StagedTree {
    ensureDirectory(casTmpDir(this.#data));
    const directory = path.join(casTmpDir(this.#data), `tree-${randomBytes(8).toString('hex')}`);
    makeTreeDirectory(directory);
    // Whoever cleans the scratch directory leaves alone what is locked.
    const lock = lockDirectory(directory, { exclusive: true, wait: true });
    const writer = new TreeWriter(openKernel(), treeRootfs(directory), this.#withDigests());
    return new StagedTree(directory, writer, lock);
  }

  adopt(staged: StagedTree, id: string, layers: readonly Layer[]): void {
    if (this.#isRendered(id)) return staged.discard();
    using _lock = this.#lock(id);
    if (this.#isRendered(id)) return staged.discard();
    this.#put(staged, id, layers);
  }

  // Under the lock of the tree.
  #put(staged: StagedTree, id: string, layers: readonly Layer[]): void {
    this.#discard(id);
    ensureDirectory(treesDir(this.#data), TREE_DIR_MODE);
    const tree = this.#writeHash(staged.directory, layers, staged.digests);
    withKernelErrors(this.#path(id), () => renameSync(staged.directory, this.#path(id)));
    staged.adopted();
    this.#complete(id, layers, tree);
  }

  #unpackTo(rootfs: string, layers: readonly Layer[], options: TreeWriterOptions): ContentDigests {
    const writer = new TreeWriter(openKernel(), rootfs, options);
    try {
      this.#unpack(writer, layers);
      return writer.finish();
    } finally {
      writer.abort();
    }
  }

  #unpack(writer: TreeWriter, layers: readonly Layer[]): void {
    const provided: ProvidedPaths = new Map();
    for (const [position, { key }] of layers.entries()) {
      const filter = new LayerFilter(layers, position, provided, writer);
      readBlob(this.#store.openBlob(key), key, filter);
      filter.finish();
    }
  }

  #writeHash(directory: string, layers: readonly Layer[], digests: ContentDigests): TreeHash {
    const tree = this.#hash(directory, digests);
    writeManifest(this.#store.readManifestText(topOf(layers)), directory);
    withKernelErrors(directory, () => writeFileSync(treeHashFile(directory), tree.hash, { mode: FILE_MODE }));
    return tree;
  }

  // The mark must not reach the disk before the tree it vouches for.
  #complete(id: string, layers: readonly Layer[], { sizeBytes }: TreeHash): void {
    const directory = this.#path(id);
    const key = topOf(layers);
    withKernelErrors(directory, () => {
      const fd = openSync(directory, 'r');
      try {
        writeFileSync(treeImageFile(directory), key, { mode: FILE_MODE });
        openKernel().syncFs(fd);
        // An empty file is more than its name in a directory: without a journal, nothing but this brings it there.
        writeFileSync(treeRenderedMark(directory), '', { mode: FILE_MODE, flush: true });
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
    this.#store.setTreeSize(key, sizeBytes);
  }

  // Without its mark a tree is nothing, so the mark goes first and for good.
  #discard(id: string): void {
    const directory = this.#path(id);
    if (!existsSync(directory)) return;
    withKernelErrors(directory, () => {
      rmSync(treeRenderedMark(directory), { force: true });
      const fd = openSync(directory, 'r');
      fsyncSync(fd);
      closeSync(fd);
    });
    removeDirectory(directory);
  }

  #hash(directory: string, digests?: ContentDigests): TreeHash {
    return hashTree(directory, openKernel(), digests, isBookkeeping);
  }

  #imageOf(id: string): ImageKey | undefined {
    try {
      return readFileSync(treeImageFile(this.#path(id)), 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #isRendered(id: string): boolean {
    return existsSync(treeRenderedMark(this.#path(id)));
  }

  #path(id: string): string {
    return treeDir(this.#data, id);
  }

  #lock(id: string): FileLock {
    ensureDirectory(treeLocksDir(this.#data), TREE_DIR_MODE);
    return lockFile(treeLockFile(this.#data, id), { exclusive: true, wait: true, create: true, mode: 0o600 });
  }

  #withDigests(): TreeWriterOptions {
    return { ...writerOptions(this.#logger), digests: true };
  }
}

const BOOKKEEPING: ReadonlySet<string> = new Set(
  [treeManifest, treeHashFile, treeRenderedMark, treeImageFile].map((file) => path.basename(file('/'))),
);

// What is ours beside the files of the image.
function isBookkeeping(name: string): boolean {
  return BOOKKEEPING.has(name);
}

function topOf(layers: readonly Layer[]): ImageKey {
  return (layers[0] as Layer).key;
}

function makeTreeDirectory(directory: string): void {
  withKernelErrors(directory, () => {
    mkdirSync(directory, { mode: TREE_DIR_MODE });
    // Not the setgid bit of the directory above.
    chmodSync(directory, TREE_DIR_MODE);
  });
  makeRoot(treeRootfs(directory));
}
