// `rkt image fsck`: checks every stored object, and drops or restores what is broken (design: hostile inputs 55).
// Runs in stage0.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStdout } from '@rkt/diagnostics/logger';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImageFsckFlags, Invocation } from '../../cli/requests.ts';
import type { Finding } from '../../fsck/finding.ts';
import { checkStores } from '../../fsck/fsck.ts';
import { flattenDependencies } from '../../treestore/dependencies.ts';
import { type OpenImages, openImages, resolveImage } from './open-images.ts';
import { treesOfPods } from './pod-references.ts';
import { lockPreparation } from './prepare-lock.ts';

export async function run(invocation: Invocation<ImageFsckFlags>): Promise<number> {
  const { args, flags } = invocation;
  using images = await openImages(invocation);
  const keys = args.length === 0 ? undefined : withDependencies(images, args);
  let [broken, left] = [0, 0];
  for await (const found of checkStores({ ...images, withUnusedTrees: unused(images) }, keys, flags)) {
    writeStdout(`${lineOf(found)}\n`);
    broken += 1;
    if (found.repaired === undefined) left += 1;
  }
  if (broken === 0) images.logger.info('nothing is broken');
  else images.logger.info(summary(broken, left, flags.repair));
  return left === 0 ? 0 : EXIT_FAILURE;
}

function lineOf({ object, problem, repaired, obstacle }: Finding): string {
  const outcome = repaired ?? obstacle;
  return `${object}: ${problem}${outcome === undefined ? '' : `; ${outcome}`}`;
}

function summary(broken: number, left: number, repair: boolean): string {
  if (!repair) return `${broken} object(s) broken (use --repair to drop them, then fetch the images again)`;
  return left === 0
    ? `${broken} broken object(s) repaired (fetch again the images that were dropped)`
    : `${broken - left} broken object(s) repaired, ${left} left`;
}

// An image is as whole as those it is made of; one whose dependencies cannot be found is looked at alone.
function withDependencies({ store }: OpenImages, args: readonly string[]): ReadonlySet<ImageKey> {
  const keys = new Set<ImageKey>();
  for (const argument of args) {
    const key = resolveImage(store, argument);
    keys.add(key);
    try {
      for (const layer of flattenDependencies(key, store)) keys.add(layer.key);
    } catch {
      // What is wrong with the image itself is about to be told.
    }
  }
  return keys;
}

function unused({ data, logger }: OpenImages): Parameters<typeof checkStores>[0]['withUnusedTrees'] {
  return async (work) => {
    using _lock = lockPreparation(data);
    const used = treesOfPods(data, logger);
    await work((id) => used.has(id));
  };
}
