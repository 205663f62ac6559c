// What the nspawn flavour can fail with. Runs in its entry points, on the host.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type NspawnErrorCode = 'no-room' | 'no-such-app' | 'process-gone' | 'refused' | 'unsupported';

/** A failure of the nspawn flavour. */
export class NspawnError extends RktError<NspawnErrorCode> {}
