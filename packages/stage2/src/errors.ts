// What the shim can fail with. Runs in the process that becomes the app.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type Stage2ErrorCode = 'bad-spec' | 'launch-failed';

/** A process description that makes no sense, or a step towards the app that the kernel refused. */
export class Stage2Error extends RktError<Stage2ErrorCode> {}
