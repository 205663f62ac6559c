// The codec of image IDs in manifests; apart from the functions on IDs, which commands use that need no codecs.
// Pure; runs in every process.

import { scalar } from './codec.ts';
import type { Codec } from './codec.ts';
import { parseHash } from './image-id.ts';

/** A {@link parseHash}able string. */
export const ImageId: Codec<string> = scalar('Hash', (text) => {
  parseHash(text);
  return text;
});
