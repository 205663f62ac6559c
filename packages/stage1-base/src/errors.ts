// What stage1 code can fail with. Runs in every stage1 entry point, on the host.

import { RktError } from '@rkt/diagnostics/rkt-error';

/** Kinds of failure callers may test for. */
export type Stage1ErrorCode =
  | 'bad-argument'
  | 'bad-capabilities'
  | 'bad-isolator'
  | 'bad-seccomp'
  | 'bad-volume'
  | 'cgroup'
  | 'executable-not-found'
  | 'mount-failed'
  | 'no-such-app'
  | 'pod-invalid'
  | 'pod-unreadable'
  | 'process-gone'
  | 'unknown-user'
  | 'unsupported';

/** A failure of stage1: the message names the object, the code its kind. */
export class Stage1Error extends RktError<Stage1ErrorCode> {}
