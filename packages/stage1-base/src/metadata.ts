// How the pod's apps reach the metadata service (contract 5.6, 6.3). Runs in stage1, on the host.

import { existsSync, readFileSync } from 'node:fs';

import { writeStderr } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import {
  mdsRegistrationFile,
  METADATA_PORT,
  metadataUrl,
  parseMdsRegistration,
} from '@rkt/pod-layout/metadata-service';
import { type PodDir, runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import { type MetadataAccess, metadataServiceUrl } from '@rkt/pod-layout/runtime-config';

/**
 * The token and the URL of a registered pod; undefined for others. A stage0 that leaves no file in the pod directory
 * gave the token in argv.
 * @param hostAddress The host's address as the pod sees it; undefined when it does not.
 * @throws PodLayoutError `bad-file`
 */
export function metadataAccess(
  pod: PodDir,
  { mdsToken }: Pick<RunArguments, 'mdsToken'>,
  hostAddress: string | undefined,
): MetadataAccess | undefined {
  const file = mdsRegistrationFile(pod);
  // Asking first is much cheaper than an exception, and few pods are registered.
  const registration = existsSync(file)
    ? parseMdsRegistration(readFileSync(file, 'utf8'))
    : mdsToken === undefined
      ? undefined
      : { token: mdsToken, port: METADATA_PORT };
  if (registration === undefined) return undefined;
  const { token, address = hostAddress } = registration;
  if (address !== undefined) return { token, url: metadataUrl(registration, address) };
  writeStderr('warning: the pod cannot reach the metadata service: its network has no gateway\n');
  return undefined;
}

/** AC_METADATA_URL of a running pod, for a command that enters it; undefined when it is not registered. */
export function runningMetadataUrl(pod: PodDir): string | undefined {
  try {
    return metadataServiceUrl(readFileSync(runtimeConfigFile(pod), 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
