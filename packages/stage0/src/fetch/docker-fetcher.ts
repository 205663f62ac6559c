// Images of the docker and OCI world: the stored one, or converted if the policy asks for it (contract stage0 4.3, 4.9,
// 5.2). Runs in stage0.

import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { casTmpDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import type { OciImage } from '../docker/oci-image.ts';
import type { ContainerReference } from '../image-ref/parse.ts';
import type { RemoteRow } from '../store/rows.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import type { ReferenceOptions } from './fetcher.ts';
import { withLease } from './lease.ts';

/** @throws FetchError, DockerError, UnpackError, StoreError, KernelError (the last ones wrapped) */
export async function fetchContainerImage(
  context: FetchContext,
  reference: ContainerReference,
  { pullPolicy, unpack = true }: Pick<ReferenceOptions, 'pullPolicy' | 'unpack'>,
): Promise<ImageKey> {
  const { store, logger, insecure } = context;
  const url = urlOf(reference);
  const stored = store.findRemote(url);
  if (pullPolicy !== 'update' && stored !== undefined) {
    logger.debug(`using image from local store for url ${url}`);
    store.touch(stored.key);
    return stored.key;
  }
  if (pullPolicy === 'never') {
    throw new FetchError(
      'image-not-found',
      `unable to fetch docker image from URL ${quote(url)}: not in the store, and the pull policy forbids to fetch it`,
    );
  }
  if (!insecure.image) {
    throw new FetchError(
      'signature',
      'signature verification for docker images is not supported (try --insecure-options=image)',
    );
  }
  logger.debug(`remote fetching from URL ${quote(url)}`);
  try {
    return await fetchChanged(context, reference, { url, stored, unpack });
  } catch (error) {
    throw wrap(`unable to fetch docker image from URL ${quote(url)}`, error);
  }
}

// With the scheme, whichever way it was written (contract stage0 4.9).
function urlOf(reference: ContainerReference): string {
  return reference.kind === 'docker' ? `docker://${reference.reference}` : reference.text;
}

interface Wanted {
  readonly url: string;
  readonly stored: RemoteRow | undefined;
  readonly unpack: boolean;
}

async function fetchChanged(
  context: FetchContext,
  reference: ContainerReference,
  { url, stored, unpack }: Wanted,
): Promise<ImageKey> {
  const { store, logger } = context;
  // Not on the way to an image that is there.
  const { openChangedImage } = await import('../docker/open-image.ts');
  const image = await openChangedImage(context, reference, stored?.etag);
  if (image === undefined && stored !== undefined) {
    logger.debug(`image for ${url} has not changed, not fetching.`);
    store.touch(stored.key);
    return stored.key;
  }
  if (image === undefined) throw new FetchError('image-not-found', `${quote(url)} is known but not there`);
  try {
    return await withLease(
      leaseFile(context, image),
      () => logger.info('another rkt instance is fetching this image, waiting...'),
      async (progress) => {
        // The one who was before us may have done it.
        const fetched = store.findRemote(url);
        if (fetched?.etag === image.manifestDigest) return fetched.key;
        const { convertImage } = await import('../convert/convert-image.ts');
        const key = await convertImage(context, image, { unpack, progress, limits: context.limits });
        store.writeRemote({
          url,
          signatureUrl: '',
          etag: image.manifestDigest,
          key,
          maxAgeSeconds: 0,
          downloadTime: Date.now(),
        });
        return key;
      },
    );
  } finally {
    await image.close();
  }
}

function leaseFile({ store }: FetchContext, { manifestDigest }: OciImage): string {
  return path.join(casTmpDir(store.data), `convert-${manifestDigest.replace(':', '-')}.lease`);
}
