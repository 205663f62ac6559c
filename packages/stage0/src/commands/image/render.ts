// `rkt image render` (contract stage0 7.13). Runs in stage0.

import { writeFileSync } from 'node:fs';

import { withKernelErrors } from '@rkt/linux/errno';
import { treeManifest, treeRootfs } from '@rkt/pod-layout/data-dir';

import type { ImageExtractFlags, Invocation } from '../../cli/requests.ts';
import { duringAsync } from '../../pod/context.ts';
import { openImages, resolveImage } from './open-images.ts';
import { fillDirectory } from './output-directory.ts';

const MANIFEST_MODE = 0o700;

export async function run(invocation: Invocation<ImageExtractFlags>): Promise<number> {
  const [argument = '', directory = ''] = invocation.args;
  const { overwrite, rootfsOnly } = invocation.flags;
  using images = await openImages(invocation);
  const { store, treeStore, logger } = images;
  const key = resolveImage(store, argument);
  await fillDirectory(directory, overwrite, async (partial) => {
    const { id } = await duringAsync('error rendering image', () => treeStore.render(key));
    if ((await treeStore.check(id)).state !== 'good') {
      logger.info('tree cache is in a bad state. Rebuilding...');
      await duringAsync('error rendering image', () => treeStore.rebuild(key));
    }
    if (rootfsOnly) return treeStore.copyRootfs(id, partial);
    const manifest = treeManifest(partial);
    withKernelErrors(manifest, () =>
      writeFileSync(manifest, store.readManifestText(key), { mode: MANIFEST_MODE }),
    );
    return treeStore.copyRootfs(id, treeRootfs(partial));
  });
  return 0;
}
