// Unpacked images, shared by all pods that run them: cas/tree/ID (contract stage0 7.7). Runs in stage0.
//
// A tree counts once its `rendered` mark is there. What makes trees is loaded when one has to be made: on the way to a
// tree that is there already lie a manifest and one look at the mark.

import { existsSync, readdirSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import {
  type DataDir,
  TREE_ID_PREFIX,
  treeDir,
  treeRenderedMark,
  treeRootfs,
  treesDir,
} from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImageStore } from '../store/store.ts';
import type { TreeDifference } from './compare.ts';
import { flattenDependencies, type Layer } from './dependencies.ts';
import { shortSha512 } from './short-sha512.ts';
import type { SecondThread } from './second-thread.ts';
import type { StagedTree } from './staged-tree.ts';
import type { TreeMaker } from './tree-maker.ts';

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

/** How the root of a tree is copied. */
export interface RootCopy extends OwnerShift {
  /** Paths below it that the copy has links to the tree for, latin1. */
  readonly linked?: ReadonlySet<string>;
}

/** The answer of {@link TreeStore.check}. */
export type TreeCheck =
  | { readonly state: 'good' }
  | { readonly state: 'not-rendered' }
  | { readonly state: 'damaged'; readonly reason: string };

/** The answer of {@link TreeStore.examine}. */
export interface ExaminedTree {
  /** The image it says it is of. */
  readonly image: ImageKey | undefined;
  /** Undefined when nothing is wrong with it. */
  readonly problem: string | undefined;
}

/** What differs in a tree, entry by entry; found while it is iterated. */
export type Differences = Iterable<TreeDifference>;

/** The trees of one data directory. */
export class TreeStore {
  readonly data: DataDir;
  readonly #store: ImageStore;
  readonly #logger: Logger;

  constructor(data: DataDir, store: ImageStore, logger: Logger) {
    this.data = data;
    this.#store = store;
    this.#logger = logger;
  }

  /** The tree of `key` with its dependencies, unpacked now unless it is there. @throws StoreError, UnpackError, KernelError */
  async render(key: ImageKey): Promise<RenderedTree> {
    const layers = this.#layers(key);
    const id = treeId(layers);
    if (!this.isRendered(id)) (await this.#maker()).make(id, layers);
    return { id, rootfs: this.rootfs(id) };
  }

  /**
   * Unpacks the tree of `key` again and puts it in the place of the one that is there. `report` is given how that one
   * differs, while both are there. When it cannot be unpacked, the old one is deleted all the same.
   */
  async rebuild(
    key: ImageKey,
    report: (differences: Differences) => void = () => undefined,
  ): Promise<RenderedTree> {
    const layers = this.#layers(key);
    const id = treeId(layers);
    (await this.#maker()).replace(id, layers, report);
    return { id, rootfs: this.rootfs(id) };
  }

  /**
   * Puts an image with its dependencies outside of the store, `directory`/manifest and `directory`/rootfs: copied when
   * its tree is there, with the help of a second thread if there is one, unpacked otherwise. Gives the ID of the tree
   * that was copied.
   */
  async renderInto(
    key: ImageKey,
    directory: string,
    how: RootCopy = {},
    second?: SecondThread,
  ): Promise<string | undefined> {
    const layers = this.#layers(key);
    const id = treeId(layers);
    if (!this.isRendered(id)) {
      (await this.#maker()).unpackInto(layers, directory, how);
      return undefined;
    }
    const { writeManifest } = await import('./tree-root.ts');
    writeManifest(this.#store.readManifestText(key), directory);
    await this.copyRootfs(id, treeRootfs(directory), how, second);
    return id;
  }

  /** Copies the root of a rendered tree, for pods without overlay. `target` is made when it is missing. */
  async copyRootfs(id: string, target: string, how: RootCopy = {}, second?: SecondThread): Promise<void> {
    const { copyRoot } = await import('./tree-root.ts');
    await copyRoot(this.rootfs(id), target, how, this.#logger, second);
  }

  /** Compares the tree with the hash it had when it was made. */
  async check(id: string): Promise<TreeCheck> {
    return (await this.#maker()).check(id);
  }

  /**
   * Says what is wrong with a tree and all that belongs to it, waiting for whoever is making it. Its manifest is
   * compared with that of its image if the latter is to be believed. @throws KernelError
   */
  async examine(id: string, hasTrueManifest: (image: ImageKey) => boolean): Promise<ExaminedTree> {
    return (await this.#maker()).examine(id, hasTrueManifest);
  }

  /** Deletes a tree. */
  async remove(id: string): Promise<void> {
    (await this.#maker()).remove(id);
  }

  /** Starts a tree whose ID is not known yet: its image is being read for the first time. */
  async stage(): Promise<StagedTree> {
    return (await this.#maker()).stage();
  }

  /**
   * Makes a staged tree the tree of `key`, the image it was unpacked from. When the image needs more than its own files,
   * the staged tree is dropped; {@link render} does it all then.
   */
  async adopt(staged: StagedTree, key: ImageKey): Promise<void> {
    const manifest = this.#store.readManifest(key);
    // What it depends on may not even be in the store yet.
    const isWhole = (manifest.dependencies ?? []).length + (manifest.pathWhitelist ?? []).length === 0;
    if (!isWhole) return staged.discard();
    const layers = [{ key, manifest, level: 0 }];
    (await this.#maker()).adopt(staged, treeId(layers), layers);
  }

  /** The ID the tree of `key` has. */
  idOf(key: ImageKey): string {
    return treeId(this.#layers(key));
  }

  isRendered(id: string): boolean {
    return existsSync(treeRenderedMark(this.path(id)));
  }

  path(id: string): string {
    return treeDir(this.data, id);
  }

  rootfs(id: string): string {
    return treeRootfs(this.path(id));
  }

  /** IDs of all trees, whole or not. */
  list(): string[] {
    const directory = treesDir(this.data);
    try {
      return withKernelErrors(directory, () => readdirSync(directory)).sort();
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  #layers(key: ImageKey): Layer[] {
    return flattenDependencies(key, this.#store);
  }

  async #maker(): Promise<TreeMaker> {
    const { TreeMaker: Maker } = await import('./tree-maker.ts');
    return new Maker(this.data, this.#store, this.#logger);
  }
}

/** Named by SHA-512 over the keys of all images of the tree, top first (contract stage0 7.7). */
export function treeId(layers: readonly Layer[]): string {
  return TREE_ID_PREFIX + shortSha512(layers.map(({ key }) => key).join(',')).slice(0, 64);
}
