// `rkt image cat-manifest` (contract stage0 7.14). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { serializeImageManifest } from '@rkt/spec/image-manifest';

import type { ImageCatManifestFlags, Invocation } from '../../cli/requests.ts';
import { during } from '../../pod/context.ts';
import { openImages, resolveImage } from './open-images.ts';

export async function run(invocation: Invocation<ImageCatManifestFlags>): Promise<number> {
  using images = await openImages(invocation);
  const key = resolveImage(images.store, invocation.args[0] ?? '');
  const manifest = during('cannot get image manifest', () => images.store.readManifest(key));
  writeStdout(`${serializeImageManifest(manifest, invocation.flags.prettyPrint ? '\t' : undefined)}\n`);
  return 0;
}
