// The descriptor that holds the exclusive lock on the pod directory, handed down by stage0 (contract 1.12, 2.2).
// Pure; runs in the run entry point.

import { quote } from '@rkt/diagnostics/quote';
import { RKT_LOCK_FD } from '@rkt/pod-layout/environment';

import { Stage1Error } from './errors.ts';

/** The number in RKT_LOCK_FD. @throws Stage1Error `bad-argument` when there is none */
export function lockDescriptor(env: Readonly<Record<string, string | undefined>>): number {
  const value = env[RKT_LOCK_FD];
  if (value === undefined) throw new Stage1Error('bad-argument', 'RKT_LOCK_FD env var is not set');
  const fd = Number(value);
  if (!/^[0-9]{1,9}$/.test(value) || fd < 3) {
    throw new Stage1Error('bad-argument', `RKT_LOCK_FD is not a descriptor: ${quote(value)}`);
  }
  return fd;
}
