// Fetches one image by what its reference is: a file, a URL, a name (contract stage0 4.3). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageName } from '@rkt/spec/image-name';

import type { PullPolicy } from '../cli/requests.ts';
import type { ImageReference } from '../image-ref/parse.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import { fetchFile } from './file-fetcher.ts';

/** How a reference is fetched. */
export interface ReferenceOptions {
  readonly signature?: string;
  readonly pullPolicy: PullPolicy;
  /** Unpack the image while it is read. False for dependencies: only top images get a tree. */
  readonly unpack?: boolean;
}

/** @throws FetchError, StoreError, UnpackError */
export async function fetchReference(
  context: FetchContext,
  reference: ImageReference,
  options: ReferenceOptions,
): Promise<ImageKey> {
  switch (reference.kind) {
    case 'file':
      return fetchFile(context, reference.path, options);
    case 'url': {
      const { fetchUrl } = await import('./url-fetcher.ts');
      return fetchUrl(context, reference, options);
    }
    case 'docker':
    case 'oci':
    case 'oci-archive':
    case 'docker-archive': {
      const { fetchContainerImage } = await import('./docker-fetcher.ts');
      return fetchContainerImage(context, reference, options);
    }
    case 'name':
      return fetchName(context, reference.text, reference.image, options.pullPolicy);
  }
}

/** @param text The name as it was typed, for messages. */
export function fetchName(
  { store, logger }: FetchContext,
  text: string,
  { name, labels }: ImageName,
  policy: PullPolicy,
): ImageKey {
  if (policy !== 'update') {
    try {
      const key = store.findByName(name, labels);
      logger.debug(`using image from local store for image name ${text}`);
      store.touch(key);
      return key;
    } catch (error) {
      if (!hasCode(error, 'not-found')) throw error;
    }
  }
  const stored = policy === 'update' ? '' : 'not in the store, and ';
  const remote =
    policy === 'never'
      ? 'the pull policy forbids to fetch it'
      : 'this version cannot discover images by name';
  throw new FetchError(
    'image-not-found',
    `unable to fetch image from image name ${quote(text)}: ${stored}${remote}`,
    {
      hint: 'fetch it by its URL or file first',
    },
  );
}
