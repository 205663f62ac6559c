// What a running pod was started with, from P/runtime-config (contract 1.11). Runs in the enter entry point.

import { readFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import type { RuntimeConfig } from '@rkt/pod-layout/runtime-config';

/** What of the record later entry points go by. */
export interface RuntimeOptions {
  readonly insecure: RuntimeConfig['InsecureOptions'];
  readonly mutable: boolean;
}

/** The options of a running pod; the safe ones when it has no record. */
export function runtimeOptions(pod: PodDir): RuntimeOptions {
  const none = { DisablePaths: false, DisableCapabilities: false, DisableSeccomp: false };
  try {
    const config = JSON.parse(readFileSync(runtimeConfigFile(pod), 'utf8')) as Partial<RuntimeConfig>;
    return { insecure: { ...none, ...config.InsecureOptions }, mutable: config.Mutable === true };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { insecure: none, mutable: false };
    throw error;
  }
}
