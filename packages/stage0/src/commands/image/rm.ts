// `rkt image rm` (contract stage0 7.9). Runs in stage0.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr, writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { RktError } from '@rkt/diagnostics/rkt-error';
import type { ImageKey } from '@rkt/spec/image-id';

import { failureText } from '../../cli/failure.ts';
import type { Invocation, NoFlags } from '../../cli/requests.ts';
import { openImages, resolveImage } from './open-images.ts';
import { removeImages } from './remove-images.ts';

export async function run(invocation: Invocation<NoFlags>): Promise<number> {
  const { args, command, global } = invocation;
  if (args.length === 0) throw new RktError('no-image', 'must provide at least one image ID');
  using images = await openImages(invocation);
  const keys = new Set<ImageKey>();
  for (const argument of args) {
    try {
      keys.add(resolveImage(images.store, argument));
    } catch (error) {
      // Go rkt's rule: an image that cannot be found is no reason to fail.
      writeStderr(`${failureText(error, command, global.debug)}\n`);
    }
  }
  return removeImages(images, [...keys], {
    removed: (key) => writeStdout(`successfully removed aci for image: ${quote(key)}\n`),
  })
    ? 0
    : EXIT_FAILURE;
}
