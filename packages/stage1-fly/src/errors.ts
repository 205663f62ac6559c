// What fly can fail with. Runs in its entry points, on the host.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type FlyErrorCode = 'bad-volume' | 'unsupported' | 'process-gone';

/** A pod fly cannot run, or a process it cannot find. */
export class FlyError extends RktError<FlyErrorCode> {}
