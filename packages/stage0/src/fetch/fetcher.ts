// Fetches one image by what its reference is: a file, a URL, a name (contract stage0 4.3). Runs in stage0.

import type { ImageKey } from '@rkt/spec/image-id';

import type { PullPolicy } from '../cli/requests.ts';
import type { ImageReference } from '../image-ref/parse.ts';
import type { FetchContext } from './context.ts';
import { fetchFile } from './file-fetcher.ts';
import { fetchName } from './name-fetcher.ts';

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
      return fetchName(context, reference, options);
  }
}
