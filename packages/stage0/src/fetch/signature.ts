// Where signatures of images are, and what happens while they cannot be verified (contract stage0 4.5). Pure; runs in
// stage0.

import { quote } from '@rkt/diagnostics/quote';

import { FetchError } from './errors.ts';

/** The signature file that belongs to the image file or URL path `path`. */
export function signaturePath(path: string): string {
  return `${path.replace(/\.aci$/, '')}.aci.asc`;
}

/** Secure by default: an image whose signature cannot be verified is not used. */
export function refuseUnverified(image: string): never {
  throw new FetchError('signature', `this version cannot verify the signature of image ${quote(image)}`, {
    hint: 'use --insecure-options=image to go without verification',
  });
}
