// Errors of pod operations. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type PodErrorCode =
  | 'no-match'
  | 'ambiguous'
  | 'bad-uuid'
  | 'wrong-state'
  | 'gone'
  | 'bad-manifest'
  | 'app-not-found'
  | 'bad-flag'
  | 'timeout'
  | 'busy'
  | 'stage1'
  | 'selinux'
  | 'exists';

/** A pod that is not there, not in the right state, or not what it should be. */
export class PodError extends RktError<PodErrorCode> {}
