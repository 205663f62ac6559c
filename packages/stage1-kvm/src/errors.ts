// What the kvm flavour can fail with. Runs in its entry points, on the host.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type KvmErrorCode = 'no-hypervisor' | 'not-ready' | 'process-gone' | 'unsupported';

/** A failure of the kvm flavour. */
export class KvmError extends RktError<KvmErrorCode> {}
