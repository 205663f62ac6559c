// The signatures of images: where they are, and judging an image while it is imported (contract stage0 4.5). Runs in
// stage0.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

import { printable, quote } from '@rkt/diagnostics/quote';
import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { ImageManifest } from '@rkt/spec/image-manifest';

import type { ImportInspector } from '../store/import.ts';
import type { Keystore } from '../trust/keystore.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';

/** The signature file that belongs to the image file or URL path `path`. */
export function signaturePath(path: string): string {
  return `${path.replace(/\.aci$/, '')}.aci.asc`;
}

/** No signature is that large; with a hundred signers it may have some kilobytes. */
export const MAX_SIGNATURE_BYTES: number = 1024 * 1024;
/** The hint for whoever cannot have a signature. */
export const GO_WITHOUT = 'use --insecure-options=image to go without verification';

/** The bytes of a signature file. @throws RktError `signature` */
export function readSignatureFile(file: string): Buffer {
  try {
    return readSmallFile(file);
  } catch (cause) {
    throw new RktError('signature', 'error opening signature file', { cause, hint: GO_WITHOUT });
  }
}

// O_NONBLOCK: a fifo must not hang us.
function readSmallFile(file: string): Buffer {
  const fd = withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new FetchError('signature', `${quote(file)} is not a regular file`);
    if (status.size > MAX_SIGNATURE_BYTES) {
      throw new FetchError('too-large', `${quote(file)} is larger than ${MAX_SIGNATURE_BYTES} bytes`);
    }
    return withKernelErrors(file, () => readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

/**
 * Lets only an image into the store that one of the keystore's keys for its name has signed. `expect` may refuse the
 * manifest of a signed image.
 * @throws TrustError `no-signature`
 */
export async function signatureInspector(
  keystore: Keystore,
  signature: Uint8Array,
  logger: FetchContext['logger'],
  expect: (manifest: ImageManifest) => void = () => undefined,
): Promise<ImportInspector> {
  const { beginVerification } = await import('../trust/verify.ts');
  const check = await beginVerification(signature);
  return {
    bytes: (chunk) => check.update(chunk),
    accept: async (manifest) => {
      try {
        const { identities } = await check.finish(keystore, manifest.name);
        expect(manifest);
        logger.info(['signature verified:', ...identities.map((id) => `  ${printable(id)}`)].join('\n'));
      } catch (error) {
        throw wrap(`image ${quote(manifest.name)} verification failed`, error);
      }
    },
  };
}
