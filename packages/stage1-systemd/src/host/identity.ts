// Who the pod is, once it has its networks: its name, the names it knows, and where its metadata is. Runs in the run
// entry point, on the host.

import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { metadataAccess } from '@rkt/stage1-base/metadata';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { type HostFile, writeNameFiles } from '@rkt/stage1-base/resolv-hosts';
import { writeRuntimeConfig } from '@rkt/stage1-base/write-runtime-config';

/** What the identity depends on beside the options. */
export interface PodAddresses {
  /** By which others know the pod. */
  readonly addresses: readonly string[];
  /** The host's, as the pod sees it; undefined when it does not. */
  readonly hostAddress?: string | undefined;
}

/** What of the identity the apps are to be given. */
export interface PodIdentity {
  /** Files of the host that the pod shows. */
  readonly hostFiles: HostFile[];
  /** AC_METADATA_URL of a registered pod. */
  readonly metadataUrl: string | undefined;
}

/** Writes it down. @throws PodLayoutError `bad-file` for a registration that cannot be read */
export function writeIdentity(
  { dir, stage1 }: LoadedPod,
  options: RunArguments,
  { addresses, hostAddress }: PodAddresses,
): PodIdentity {
  const metadata = metadataAccess(dir, options, hostAddress);
  if (metadata !== undefined) writeRuntimeConfig(dir, options, metadata);
  const hostname = options.hostname ?? `rkt-${options.uuid}`;
  const hostFiles = writeNameFiles(stage1, { ...options, hostname, addresses });
  return { hostFiles, metadataUrl: metadata?.url };
}
