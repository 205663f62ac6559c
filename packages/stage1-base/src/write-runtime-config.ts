// Writes P/runtime-config right after the pod is loaded (contract 1.11). Runs in stage1, on the host.

import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { type MetadataAccess, printRuntimeConfig, runtimeConfig } from '@rkt/pod-layout/runtime-config';

import { writeNew } from './write-new.ts';

/** The metadata token is in this file: only root reads it (contract 10.1; Go rkt: 0644). */
const RUNTIME_CONFIG_MODE = 0o600;

/** Records what the pod was started with. */
export function writeRuntimeConfig(pod: PodDir, args: RunArguments, metadata?: MetadataAccess): void {
  writeNew(runtimeConfigFile(pod), printRuntimeConfig(runtimeConfig(args, metadata)), RUNTIME_CONFIG_MODE);
}
