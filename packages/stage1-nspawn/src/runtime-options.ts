// What a running pod was started with, from P/runtime-config (contract 1.11). Runs in the enter entry point.

import { readFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import type { RuntimeConfig } from '@rkt/pod-layout/runtime-config';

/** The pod's insecure options; none when it has no record. */
export function insecureOptions(pod: PodDir): RuntimeConfig['InsecureOptions'] {
  const none = { DisablePaths: false, DisableCapabilities: false, DisableSeccomp: false };
  try {
    const config = JSON.parse(readFileSync(runtimeConfigFile(pod), 'utf8')) as Partial<RuntimeConfig>;
    return { ...none, ...config.InsecureOptions };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return none;
    throw error;
  }
}
