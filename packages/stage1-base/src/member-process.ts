// Signals to processes of the pod and to no others: the number in P/pid or P/ppid may by now be another process's. Runs
// in the stop entry point, on the host.

import { closeSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { Kernel } from '@rkt/linux/kernel';

/**
 * A descriptor of process `pid`, for the caller to close; undefined when it is gone, or is not the pod's, as `isMember`
 * tells. The descriptor is opened before that is asked: between the two the number cannot change hands.
 */
export function openMember(kernel: Kernel, pid: number, isMember: () => boolean): number | undefined {
  let pidfd: number;
  try {
    pidfd = kernel.pidfdOpen(pid, 0);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
  let member = false;
  try {
    member = isMember();
  } finally {
    if (!member) closeSync(pidfd);
  }
  return member ? pidfd : undefined;
}

/** Sends `signal` to process `pid`, unless it is gone or not the pod's; tells whether it was sent. */
export function signalMember(kernel: Kernel, pid: number, signal: number, isMember: () => boolean): boolean {
  const pidfd = openMember(kernel, pid, isMember);
  if (pidfd === undefined) return false;
  try {
    kernel.pidfdSendSignal(pidfd, signal);
    return true;
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  } finally {
    closeSync(pidfd);
  }
}
