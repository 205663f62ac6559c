// Errors of preparing a pod. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type PrepareErrorCode =
  'bad-flags' | 'bad-image' | 'bad-manifest' | 'duplicate-app' | 'stage1-image' | 'not-supported';

/** A pod that cannot be made from what was asked for. */
export class PrepareError extends RktError<PrepareErrorCode> {}
