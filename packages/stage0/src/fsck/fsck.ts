// Checks every stored object: the database, images, what leads to them, leftovers, trees (design: hostile inputs 55).
// Runs in stage0.
//
// Each object is looked at under its own lock, so other commands may work meanwhile. The order matters for repairs:
// rows are restored into a database that is whole, and trees are compared with manifests that are.

import type { DataDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImageStore } from '../store/store.ts';
import type { TreeStore } from '../treestore/tree-store.ts';
import { checkDatabaseFile, checkReferences } from './check-database.ts';
import { checkScratch, checkStrays, listStoreFiles } from './check-files.ts';
import { checkImage } from './check-image.ts';
import { checkLayers } from './check-layers.ts';
import { checkTrees, type WithUnusedTrees } from './check-trees.ts';
import type { CheckOptions, Finding } from './finding.ts';

/** The stores of one data directory. */
export interface CheckedStores {
  readonly data: DataDir;
  readonly store: ImageStore;
  readonly treeStore: TreeStore;
  readonly withUnusedTrees: WithUnusedTrees;
}

/** Yields what is broken as it is found. With `keys`, only what belongs to these images. @throws KernelError */
export async function* checkStores(
  { data, store, treeStore, withUnusedTrees }: CheckedStores,
  keys: ReadonlySet<ImageKey> | undefined,
  options: CheckOptions,
): AsyncGenerator<Finding, void, undefined> {
  const database = checkDatabaseFile(store, options);
  yield* database;
  const isUsable = database.every(({ repaired }) => repaired !== undefined);
  const files = listStoreFiles(data);
  const known = isUsable ? store.list().map(({ key }) => key) : [];
  const broken = new Set<ImageKey>();
  for (const key of keys ?? new Set([...files.keys, ...known].sort())) {
    const found = checkImage(store, key, { ...options, hasDatabase: isUsable });
    if (found.some(({ repaired }) => repaired === undefined)) broken.add(key);
    yield* found;
  }
  if (isUsable) yield* checkReferences(store, keys, options);
  if (keys === undefined) {
    yield* checkLayers(data, options);
    yield* checkStrays(data, files.strays, options);
    yield* checkScratch(data, options);
  }
  const hasTrueManifest = (image: ImageKey): boolean => !broken.has(image);
  yield* await checkTrees(treeStore, keys, { ...options, hasTrueManifest }, withUnusedTrees);
}
