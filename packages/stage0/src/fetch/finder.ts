// Finds the image an argument refers to: by ID in the store, else by fetching it (contract stage0 4.1-4.3).
// Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { type ImageKey, isHash } from '@rkt/spec/image-id';

import type { PullPolicy } from '../cli/requests.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';

export { type FetchContext, fetchContext } from './context.ts';

/** How one image is found. */
export interface FindOptions {
  /** Signature file given on the command line. */
  readonly signature?: string;
  readonly pullPolicy: PullPolicy;
  /** Fetch what the image depends on, too. */
  readonly dependencies: boolean;
  /** What must have ended before anything but a download begins: it may bring the image, or fail. */
  readonly earlier?: Promise<void>;
}

/** The image for `run`, `prepare` and stage1: an ID is looked up in the store, anything else is fetched. */
export async function findImage(
  context: FetchContext,
  argument: string,
  options: FindOptions,
): Promise<ImageKey> {
  if (isHash(argument)) return findById(context, argument);
  return fetchImage(context, argument, options);
}

function findById({ store, logger }: FetchContext, id: string): ImageKey {
  let key: ImageKey;
  try {
    key = store.resolveKey(id);
  } catch (error) {
    throw wrap(`could not resolve image ${quote(id)}`, error);
  }
  logger.debug(`using image from the store with hash ${key}`);
  store.touch(key);
  return key;
}

/** The image for `rkt fetch`: an argument is never an ID. @throws FetchError, StoreError, UnpackError, SpecError */
export async function fetchImage(
  context: FetchContext,
  argument: string,
  options: FindOptions,
): Promise<ImageKey> {
  const { parseImageReference } = await import('../image-ref/parse.ts');
  const { fetchReference } = await import('./fetcher.ts');
  const reference = parseImageReference(argument, context.cwd);
  const { kind } = reference;
  if (kind === 'file' || (kind === 'name' && options.pullPolicy !== 'update')) await options.earlier;
  if (context.signal?.aborted === true) throw new FetchError('cancelled', 'cancelled');
  const key = await fetchReference(context, reference, options);
  if (options.dependencies) await fetchDependenciesOf(context, key, options.pullPolicy);
  return key;
}

/** Fetches what a stored image depends on. @throws FetchError, StoreError, UnpackError, SpecError */
export async function fetchDependenciesOf(
  context: FetchContext,
  key: ImageKey,
  pullPolicy: PullPolicy,
): Promise<void> {
  if ((context.store.readManifest(key).dependencies ?? []).length === 0) return;
  const { fetchDependencies } = await import('./dependencies.ts');
  await fetchDependencies(context, key, pullPolicy);
}
