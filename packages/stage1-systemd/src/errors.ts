// What writing the units of a pod can fail with. Runs in the run entry point, on the host.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type SystemdErrorCode =
  'bad-event-handler' | 'bad-limit' | 'bad-user' | 'unenforceable' | 'unsupported';

/** An app that asks for what its unit cannot say. */
export class SystemdError extends RktError<SystemdErrorCode> {}
