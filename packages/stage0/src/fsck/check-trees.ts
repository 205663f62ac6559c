// Checks the rendered images: each tree against its hash, and what stands beside its files. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { TREE_ID_PREFIX } from '@rkt/pod-layout/data-dir';

import type { ExaminedTree, TreeStore } from '../treestore/tree-store.ts';
import { type CheckOptions, type Finding, reasonOf } from './finding.ts';

/** Calls its argument while no pod is being prepared, with the IDs of the trees that pods use. */
export type WithUnusedTrees = (work: (isUsed: (id: string) => boolean) => Promise<void>) => Promise<void>;

/** How trees are checked. */
export interface TreeCheckOptions extends CheckOptions {
  /** False for images whose stored manifest is broken. */
  readonly hasTrueManifest: (image: string) => boolean;
}

/** What is wrong with the trees; with `keys`, only those of these images. @throws KernelError */
export async function checkTrees(
  treeStore: TreeStore,
  keys: ReadonlySet<string> | undefined,
  options: TreeCheckOptions,
  withUnusedTrees: WithUnusedTrees,
): Promise<Finding[]> {
  const found: (Finding & { readonly id: string })[] = [];
  for (const id of treeStore.list()) {
    const examined = isTreeId(id) ? await examine(treeStore, id, options) : NO_TREE;
    if (keys !== undefined && !keys.has(examined.image ?? '')) continue;
    const { problem } = examined;
    if (problem !== undefined) found.push({ id, object: `tree ${treeName(id)}`, problem });
  }
  if (!options.repair || found.length === 0) return found;
  const repaired: Finding[] = [];
  await withUnusedTrees(async (isUsed) => {
    for (const named of found) repaired.push(await drop(treeStore, named, isUsed));
  });
  return repaired;
}

async function drop(
  treeStore: TreeStore,
  { id, ...named }: Finding & { readonly id: string },
  isUsed: (id: string) => boolean,
): Promise<Finding> {
  if (isUsed(id)) return { ...named, obstacle: 'a pod uses it: remove the pod first, then run this again' };
  try {
    await treeStore.remove(id);
    return { ...named, repaired: 'dropped' };
  } catch (error) {
    return { ...named, obstacle: `cannot be repaired: ${reasonOf(error)}` };
  }
}

const NO_TREE: ExaminedTree = { image: undefined, problem: 'the store has no such tree' };

async function examine(
  treeStore: TreeStore,
  id: string,
  { hasTrueManifest }: TreeCheckOptions,
): Promise<ExaminedTree> {
  try {
    return await treeStore.examine(id, hasTrueManifest);
  } catch (error) {
    if (hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) throw error;
    return { image: undefined, problem: reasonOf(error) };
  }
}

function isTreeId(id: string): boolean {
  return id.startsWith(TREE_ID_PREFIX) && /^[0-9a-f]{64}$/.test(id.slice(TREE_ID_PREFIX.length));
}

function treeName(id: string): string {
  return isTreeId(id) ? id : quote(id);
}
