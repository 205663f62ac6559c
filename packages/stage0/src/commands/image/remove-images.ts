// Removes images one by one and says how it went, for `image rm` and `image gc` (contract stage0 7.9). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImageStore } from '../../store/store.ts';
import type { OpenImages } from './open-images.ts';

/** True when nothing failed. `removed` is called for each image that is gone. */
export function removeImages(
  { store, logger }: OpenImages,
  keys: readonly ImageKey[],
  { removed }: { readonly removed: (key: ImageKey) => void },
): boolean {
  let done = 0;
  let failed = 0;
  let stale = 0;
  for (const key of keys) {
    try {
      const name = nameOf(store, key);
      const leftovers = store.remove(key);
      for (const error of leftovers)
        logger.error(`error removing files of image ${quote(key)} (${quote(name)})`, error);
      if (leftovers.length > 0) stale += 1;
      else done += 1;
      removed(key);
    } catch (error) {
      failed += 1;
      logger.error(`error removing aci for image ${quote(key)} (${quote(nameOf(store, key))})`, error);
    }
  }
  if (done > 0) logger.info(`${done} image(s) successfully removed`);
  if (failed > 0) logger.info(`${failed} image(s) cannot be removed`);
  if (stale > 0) logger.info(`${stale} image(s) removed but left some stale files`);
  if (failed + stale === 0) return true;
  logger.info('error(s) found while removing images');
  return false;
}

function nameOf(store: ImageStore, key: ImageKey): string {
  try {
    return store.readManifest(key).name;
  } catch {
    return '';
  }
}
