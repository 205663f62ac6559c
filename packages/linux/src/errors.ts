// Failures of this package that are not the answer of one system call. Pure; runs in every process.

import { RktError } from '@rkt/diagnostics/rkt-error';

/** Codes of {@link LinuxError}. */
export type LinuxErrorCode =
  | 'lock-replaced'
  | 'too-many-links'
  | 'name-not-utf8'
  | 'not-a-regular-file'
  | 'file-too-large'
  | 'bad-proc-file'
  | 'cgroup-busy';

/** A failure of this package; failed system calls are KernelError. */
export class LinuxError extends RktError<LinuxErrorCode> {}
