// Unpacked images, shared by all pods that run them: cas/tree/ID (contract stage0 7.7). Runs in stage0.
//
// A tree counts once its `rendered` mark is there. Everything on the way to a tree that is there already is
// synchronous and takes a few system calls.

import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import type { Logger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type FileLock, lockFile } from '@rkt/linux/file-lock';
import { openKernel } from '@rkt/linux/libc';
import {
  casTmpDir,
  type DataDir,
  TREE_DIR_MODE,
  TREE_ID_PREFIX,
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
import type { ImageStore } from '../store/store.ts';
import { type ContentDigests, TreeWriter, type TreeWriterOptions } from '../unpack/tree-writer.ts';
import { copyTree } from './copy-tree.ts';
import { flattenDependencies, type Layer } from './dependencies.ts';
import { hashTree, type TreeHash } from './hash.ts';
import { LayerFilter, type ProvidedPaths } from './layer-filter.ts';
import { readBlob } from './read-blob.ts';
import { removeDirectory } from './remove-directory.ts';
import { StagedTree } from './staged-tree.ts';

/** A tree that is ready for use. */
export interface RenderedTree {
  readonly id: string;
  /** Absolute path of its root directory. */
  readonly rootfs: string;
}

/** Added to the owners of files, for pods in user namespaces. */
export interface OwnerShift {
  readonly uidShift?: number;
  readonly gidShift?: number;
  /** Ids the namespace has; 65536 when there is a shift. */
  readonly idCount?: number;
}

/** The answer of {@link TreeStore.check}. */
export type TreeCheck =
  | { readonly state: 'good' }
  | { readonly state: 'not-rendered' }
  | { readonly state: 'damaged'; readonly reason: string };

const DEFAULT_ID_COUNT = 65536;

/** The trees of one data directory. */
export class TreeStore {
  readonly #data: DataDir;
  readonly #store: ImageStore;
  readonly #logger: Logger;

  constructor(data: DataDir, store: ImageStore, logger: Logger) {
    this.#data = data;
    this.#store = store;
    this.#logger = logger;
  }

  /** The tree of `key` with its dependencies, unpacked now unless it is there. @throws StoreError, UnpackError, KernelError */
  render(key: ImageKey): RenderedTree {
    const layers = flattenDependencies(key, this.#store);
    const id = treeId(layers);
    if (!this.isRendered(id)) this.#renderAnew(id, layers, false);
    return { id, rootfs: this.rootfs(id) };
  }

  /** Deletes the tree of `key` and unpacks it again. */
  rebuild(key: ImageKey): RenderedTree {
    const layers = flattenDependencies(key, this.#store);
    const id = treeId(layers);
    this.#renderAnew(id, layers, true);
    return { id, rootfs: this.rootfs(id) };
  }

  /** Unpacks an image with its dependencies outside of the store: `directory`/manifest and `directory`/rootfs. */
  renderInto(key: ImageKey, directory: string, shift: OwnerShift = {}): void {
    const layers = flattenDependencies(key, this.#store);
    const rootfs = treeRootfs(directory);
    withKernelErrors(directory, () => {
      writeFileSync(treeManifest(directory), this.#store.readManifestText(key), { mode: 0o644 });
      makeRootfs(rootfs);
    });
    this.#unpack(layers, rootfs, { ...shiftOptions(shift), digests: false });
  }

  /** Copies the root of a rendered tree, for pods without overlay. `target` is made when it is missing. */
  copyRootfs(id: string, target: string, shift: OwnerShift = {}): void {
    makeRootfs(target);
    copyTree(this.rootfs(id), target, openKernel(), {
      ...this.#writerOptions(),
      ...shiftOptions(shift),
      digests: false,
    });
  }

  /** The ID the tree of `key` has. */
  idOf(key: ImageKey): string {
    return treeId(flattenDependencies(key, this.#store));
  }

  isRendered(id: string): boolean {
    return existsSync(treeRenderedMark(this.path(id)));
  }

  path(id: string): string {
    return treeDir(this.#data, id);
  }

  rootfs(id: string): string {
    return treeRootfs(this.path(id));
  }

  /** IDs of all trees, whole or not. */
  list(): string[] {
    try {
      return withKernelErrors(treesDir(this.#data), () => readdirSync(treesDir(this.#data))).sort();
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  /** Compares the tree with the hash it had when it was made. */
  check(id: string): TreeCheck {
    let wanted: string;
    try {
      wanted = readFileSync(treeHashFile(this.path(id)), 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return { state: 'not-rendered' };
      throw error;
    }
    const { hash } = this.#hash(this.path(id));
    if (hash === wanted) return { state: 'good' };
    return { state: 'damaged', reason: `wrong tree hash: ${hash}, expected: ${wanted}` };
  }

  /** Deletes a tree. */
  remove(id: string): void {
    using _lock = this.#lockTree(id);
    const image = this.#imageOf(id);
    this.#discard(id);
    if (image !== undefined) this.#store.setTreeSize(image, 0);
  }

  /** Starts a tree whose ID is not known yet: the image is being read for the first time. */
  stage(): StagedTree {
    const directory = path.join(this.#data, 'cas', 'tmp', `tree-${randomBytes(8).toString('hex')}`);
    ensureDirectory(casTmpDir(this.#data));
    withKernelErrors(directory, () => {
      mkdirSync(directory, { mode: TREE_DIR_MODE });
      makeRootfs(treeRootfs(directory));
    });
    return new StagedTree(
      directory,
      new TreeWriter(openKernel(), treeRootfs(directory), this.#writerOptions()),
    );
  }

  /**
   * Makes a staged tree the tree of `key`, whose files it must hold. False when the image needs more than its own
   * files; the staged tree is gone then.
   */
  adopt(staged: StagedTree, key: ImageKey): boolean {
    const layers = flattenDependencies(key, this.#store);
    const id = treeId(layers);
    const isWhole = layers.length === 1 && (layers[0]?.manifest.pathWhitelist ?? []).length === 0;
    if (!isWhole || this.isRendered(id)) {
      staged.discard();
      return isWhole;
    }
    using _lock = this.#lockTree(id);
    if (this.isRendered(id)) {
      staged.discard();
      return true;
    }
    this.#discard(id);
    ensureDirectory(treesDir(this.#data), TREE_DIR_MODE);
    const tree = this.#writeHash(staged.directory, key, staged.digests);
    withKernelErrors(this.path(id), () => renameSync(staged.directory, this.path(id)));
    staged.adopted();
    this.#mark(id, key, tree);
    return true;
  }

  #renderAnew(id: string, layers: readonly Layer[], force: boolean): void {
    using _lock = this.#lockTree(id);
    // Somebody else may have made it while we waited.
    if (!force && this.isRendered(id)) return;
    const directory = this.path(id);
    this.#discard(id);
    ensureDirectory(treesDir(this.#data), TREE_DIR_MODE);
    const key = (layers[0] as Layer).key;
    try {
      withKernelErrors(directory, () => {
        mkdirSync(directory, { mode: TREE_DIR_MODE });
        makeRootfs(treeRootfs(directory));
      });
      const digests = this.#unpack(layers, treeRootfs(directory), { digests: true });
      this.#mark(id, key, this.#writeHash(directory, key, digests));
    } catch (error) {
      removeDirectory(directory);
      throw error;
    }
  }

  #unpack(layers: readonly Layer[], rootfs: string, options: Partial<TreeWriterOptions>): ContentDigests {
    const writer = new TreeWriter(openKernel(), rootfs, { ...this.#writerOptions(), ...options });
    try {
      const provided: ProvidedPaths = new Map();
      for (const [position, { key }] of layers.entries()) {
        const filter = new LayerFilter(layers, position, provided, writer);
        readBlob(this.#store.openBlob(key), key, filter);
        filter.finish();
      }
      return writer.finish();
    } finally {
      writer.abort();
    }
  }

  #writeHash(directory: string, key: ImageKey, digests: ContentDigests): TreeHash {
    const tree = this.#hash(directory, digests);
    withKernelErrors(directory, () => {
      chmodSync(directory, TREE_DIR_MODE);
      writeFileSync(treeManifest(directory), this.#store.readManifestText(key), { mode: 0o644 });
      writeFileSync(treeHashFile(directory), tree.hash, { mode: 0o644 });
    });
    return tree;
  }

  // The mark must not reach the disk before the tree it vouches for.
  #mark(id: string, key: ImageKey, { sizeBytes }: TreeHash): void {
    const directory = this.path(id);
    withKernelErrors(directory, () => {
      const fd = openSync(directory, 'r');
      try {
        openKernel().syncFs(fd);
        writeFileSync(treeImageFile(directory), key, { mode: 0o644 });
        writeFileSync(treeRenderedMark(directory), '', { mode: 0o644 });
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
    this.#store.setTreeSize(key, sizeBytes);
  }

  // Without its mark a tree is nothing, so the mark goes first and for good.
  #discard(id: string): void {
    const directory = this.path(id);
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
    const own = new Set(
      [treeManifest, treeHashFile, treeRenderedMark, treeImageFile].map((of) => path.basename(of(directory))),
    );
    return hashTree(directory, openKernel(), digests, (name) => own.has(name));
  }

  #imageOf(id: string): ImageKey | undefined {
    try {
      return readFileSync(treeImageFile(this.path(id)), 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #lockTree(id: string): FileLock {
    ensureDirectory(treeLocksDir(this.#data), TREE_DIR_MODE);
    return lockFile(treeLockFile(this.#data, id), { exclusive: true, wait: true, create: true, mode: 0o600 });
  }

  #writerOptions(): TreeWriterOptions {
    return {
      privileged: process.geteuid?.() === 0,
      digests: true,
      warn: (message) => this.#logger.info(message),
    };
  }
}

/** SHA-512 over the keys of all images of the tree, top first (contract stage0 7.7). */
export function treeId(layers: readonly Layer[]): string {
  const keys = layers.map(({ key }) => key).join(',');
  return TREE_ID_PREFIX + createHash('sha512').update(keys).digest('hex').slice(0, 64);
}

// The root of the image: not readable through a setgid bit or a group that the directory above hands down.
function makeRootfs(rootfs: string): void {
  withKernelErrors(rootfs, () => {
    mkdirSync(rootfs, { recursive: true, mode: TREE_DIR_MODE });
    if (process.geteuid?.() === 0) chownSync(rootfs, 0, 0);
    chmodSync(rootfs, TREE_DIR_MODE);
  });
}

function shiftOptions({ uidShift, gidShift, idCount }: OwnerShift): Partial<TreeWriterOptions> {
  if (uidShift === undefined && gidShift === undefined) return {};
  return { uidShift: uidShift ?? 0, gidShift: gidShift ?? 0, idCount: idCount ?? DEFAULT_ID_COUNT };
}
