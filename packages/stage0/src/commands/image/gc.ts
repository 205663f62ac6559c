// `rkt image gc` (contract stage0 7.10). Runs in stage0.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { quote } from '@rkt/diagnostics/quote';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImageGcFlags, Invocation } from '../../cli/requests.ts';
import { removeUnusedLayers } from '../../convert/layer-store.ts';
import { during, duringAsync } from '../../pod/context.ts';
import { cleanScratch } from '../../store/scratch.ts';
import { type OpenImages, openImages } from './open-images.ts';
import { imagesOfRunningPods, treesOfPods } from './pod-references.ts';
import { lockPreparation } from './prepare-lock.ts';
import { removeImages } from './remove-images.ts';

export async function run(invocation: Invocation<ImageGcFlags>): Promise<number> {
  using images = await openImages(invocation);
  const { gracePeriodMs } = invocation.flags;
  await duringAsync('failed to remove unreferenced treestores', () => removeTrees(images));
  cleanScratch(images.data, gracePeriodMs);
  const unused = during('failed to get aciinfos', () => unusedImages(images, gracePeriodMs));
  const isDone = removeImages(images, unused, { removed: () => undefined });
  removeUnusedLayers(images.data, images.store.layersInUse(), gracePeriodMs);
  return isDone ? 0 : EXIT_FAILURE;
}

async function removeTrees({ data, treeStore, logger }: OpenImages): Promise<void> {
  using _lock = lockPreparation(data);
  const referenced = treesOfPods(data, logger);
  for (const id of treeStore.list()) {
    if (referenced.has(id)) continue;
    await treeStore.remove(id);
    logger.info(`removed treestore ${quote(id)}`);
  }
}

// Longest unused first, up to the first that was used within the grace period.
function unusedImages({ data, store, logger }: OpenImages, gracePeriodMs: number): ImageKey[] {
  const inUse = imagesOfRunningPods(data, logger);
  const limit = Date.now() - gracePeriodMs;
  return store
    .list()
    .filter(({ lastUsed }) => lastUsed <= limit)
    .sort((a, b) => a.lastUsed - b.lastUsed)
    .map(({ key }) => key)
    .filter((key) => !inUse.has(key));
}
