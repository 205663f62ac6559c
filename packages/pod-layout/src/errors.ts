// Errors of the pod layout. Pure.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type PodLayoutErrorCode = 'bad-file' | 'bad-argument' | 'entrypoint-missing';

/** A file, an argument or an annotation that breaks the contract between the stages. */
export class PodLayoutError extends RktError<PodLayoutErrorCode> {}
