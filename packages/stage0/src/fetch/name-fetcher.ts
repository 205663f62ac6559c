// Images by name: from the store, or from where discovery says they are (contract stage0 4.3, 4.5, 4.7).
// Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import type { DiscoveryEndpoint } from '@rkt/spec/discovery';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { ImageName } from '@rkt/spec/image-name';
import { labelValue } from '@rkt/spec/labels';

import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import type { ReferenceOptions } from './fetcher.ts';
import { sharedDisplay } from './progress.ts';
import type { RemoteImage } from './url-fetcher.ts';

/**
 * The image that is asked for as `text`: the stored one, or what discovery finds if the policy asks for it.
 * @throws FetchError, TrustError, UnpackError, StoreError
 */
export async function fetchName(
  context: FetchContext,
  { text, image }: { readonly text: string; readonly image: ImageName },
  options: ReferenceOptions,
): Promise<ImageKey> {
  const stored = options.pullPolicy === 'update' ? undefined : findStored(context, text, image);
  if (stored !== undefined) return stored;
  const failed = `unable to fetch image from image name ${quote(text)}`;
  if (options.pullPolicy === 'never') {
    throw new FetchError(
      'image-not-found',
      `${failed}: not in the store, and the pull policy forbids to fetch it`,
      { hint: 'fetch it first' },
    );
  }
  try {
    return await fetchDiscovered(context, text, image, options);
  } catch (error) {
    throw wrap(failed, error);
  }
}

function findStored(
  { store, logger }: FetchContext,
  text: string,
  { name, labels }: ImageName,
): ImageKey | undefined {
  try {
    const key = store.findByName(name, labels);
    logger.debug(`using image from local store for image name ${text}`);
    store.touch(key);
    return key;
  } catch (error) {
    if (hasCode(error, 'not-found')) return undefined;
    throw error;
  }
}

async function fetchDiscovered(
  context: FetchContext,
  text: string,
  image: ImageName,
  options: ReferenceOptions,
): Promise<ImageKey> {
  context.logger.debug(`searching for app image ${text}`);
  const { discoverEndpoint } = await import('./discover.ts');
  const endpoint = await discoverEndpoint(context, image);
  if (context.keystore !== undefined) {
    const { ensureKeys } = await import('../trust/discover-keys.ts');
    // It may ask whether a key is to be trusted.
    await sharedDisplay().pausedFor(() => ensureKeys(context, image.name));
  }
  const { fetchRemote } = await import('./url-fetcher.ts');
  return fetchRemote(context, remoteImage(endpoint, image), options);
}

function remoteImage({ aci, signature }: DiscoveryEndpoint, image: ImageName): RemoteImage {
  return {
    text: aci,
    url: webUrl(aci, image),
    signature: webUrl(signature, image).href,
    wanted: {
      image,
      latest: labelValue(image.labels, 'version') === undefined,
      expect: (manifest) => checkRequested(manifest, image),
    },
  };
}

function webUrl(text: string, { name }: ImageName): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && ['http:', 'https:'].includes(url.protocol)) return url;
  throw new FetchError(
    'discovery',
    `discovery of ${quote(name)} leads to ${quote(text)}: bad URL scheme, must be http/https`,
  );
}

/** Whether what came is what was asked for. @throws FetchError `wrong-image` */
export function checkRequested({ name, labels }: ImageManifest, wanted: ImageName): void {
  if (name !== wanted.name) {
    refuse(`error when reading the app name: ${quote(wanted.name)} expected but ${quote(name)} found`);
  }
  for (const label of wanted.labels) {
    const got = labelValue(labels, label.name);
    if (got === undefined) {
      refuse(`requested label ${quote(label.name)} not provided by the image manifest`);
    }
    if (got !== label.value) {
      refuse(
        `requested value for label ${quote(label.name)}: ${quote(label.value)} differs from fetched aci label value: ${quote(got)}`,
      );
    }
  }
}

function refuse(message: string): never {
  throw new FetchError('wrong-image', message);
}
