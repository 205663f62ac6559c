// Opens an image of the docker and OCI world wherever it is (contract stage0 5). Runs in stage0; what one source needs is
// loaded with it.

import { hasCode } from '@rkt/diagnostics/rkt-error';

import type { FetchContext } from '../fetch/context.ts';
import type { ContainerReference } from '../image-ref/parse.ts';
import type { Platform } from './manifest.ts';
import type { OciImage } from './oci-image.ts';
import { hostPlatform } from './platform.ts';
import { parseDockerReference } from './reference.ts';
import type { RegistryImageOptions } from './registry/registry-image.ts';

/** What tests set. */
export interface OpenImageOptions extends Partial<
  Pick<RegistryImageOptions, 'certificateDirectories' | 'wait' | 'patience' | 'times'>
> {
  /** Instead of this machine's. */
  readonly platform?: Platform;
  /** Digest of the manifest of an image that is not wanted again. */
  readonly known?: string;
}

/**
 * As {@link openImage}, but undefined when the image's manifest is the `known` one: then nothing else was asked for.
 */
export async function openChangedImage(
  context: FetchContext,
  reference: ContainerReference,
  known: string | undefined,
): Promise<OciImage | undefined> {
  try {
    return await openImage(context, reference, known === undefined ? {} : { known });
  } catch (error) {
    if (hasCode(error, 'unchanged')) return undefined;
    throw error;
  }
}

// Logins and tokens are asked for once in a command, however many images it fetches.
const authorizations = new WeakMap<FetchContext, Map<string, string>>();

/**
 * Finds the image, and reads its manifest and config; layers are read when they are asked for. The caller closes it.
 * @throws DockerError, FetchError, UnpackError, KernelError
 */
export async function openImage(
  context: FetchContext,
  reference: ContainerReference,
  { platform = hostPlatform(), known, ...tuning }: OpenImageOptions = {},
): Promise<OciImage> {
  const wanted = known === undefined ? { platform } : { platform, known };
  switch (reference.kind) {
    case 'docker': {
      const { openRegistryImage } = await import('./registry/registry-image.ts');
      return await openRegistryImage(parseDockerReference(reference.reference), {
        ...registryOptions(context),
        ...wanted,
        ...tuning,
      });
    }
    case 'oci': {
      const { openLayout } = await import('./layout.ts');
      const { directoryTree } = await import('./file-tree.ts');
      const request = { ...reference, file: reference.path };
      return await openLayout(directoryTree(reference.path), 'oci', request, wanted);
    }
    case 'oci-archive': {
      const { openLayout } = await import('./layout.ts');
      const { archiveTree } = await import('./archive-tree.ts');
      const request = { ...reference, file: reference.path };
      return await openLayout(
        await archiveTree(reference.path, context.store.data),
        'oci-archive',
        request,
        wanted,
      );
    }
    case 'docker-archive': {
      const { openDockerArchive } = await import('./archive.ts');
      const { archiveTree } = await import('./archive-tree.ts');
      const request = { ...reference, file: reference.path };
      return await openDockerArchive(await archiveTree(reference.path, context.store.data), request);
    }
  }
}

function registryOptions(context: FetchContext): Omit<RegistryImageOptions, 'platform'> {
  const { config, insecure, env, logger, signal } = context;
  let known = authorizations.get(context);
  if (known === undefined) authorizations.set(context, (known = new Map()));
  return {
    dockerAuth: config.dockerAuth,
    mirrors: config.dockerMirrors,
    insecure,
    env,
    logger,
    ...(signal !== undefined && { signal }),
    data: context.store.data,
    authorizations: known,
  };
}
