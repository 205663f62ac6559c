// The stop entry point (contract 8.7). Working directory P.
//
// P/ppid is systemd-nspawn. When that was killed, its container goes on without it: the pod's own cgroup lists what is
// left, PID 1 among it, and nothing but the pod's processes can be in there.

import { closeSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { SIGKILL, SIGTERM } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseStopArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { openMember } from '@rkt/stage1-base/member-process';
import { childrenOf, readPpid } from '@rkt/stage1-base/pids';
import { findPodCgroup, killPod, podPids } from '@rkt/stage1-base/pod-cgroup';

import { NspawnError } from './errors.ts';

/**
 * Sends SIGTERM to nspawn, which stops the apps in order, or with --force kills PID 1 of the pod and then nspawn.
 * Without nspawn it kills what is left. @throws NspawnError `process-gone` before the pod has started
 */
export function stop(
  { args, cwd }: Pick<EntryPointCall, 'args' | 'cwd'>,
  kernel: Kernel = openKernel(),
): number {
  const { force } = parseStopArguments(args);
  const dir = podDir(cwd);
  const supervisor = readPpid(dir);
  if (supervisor === undefined) throw new NspawnError('process-gone', 'the pod has not been started yet');
  const cgroup = findPodCgroup(dir);
  const isOurs = (): boolean => cgroup === undefined || supervises(supervisor, podPids(cgroup));
  const pidfd = openMember(kernel, supervisor, isOurs);
  if (pidfd === undefined) {
    if (cgroup !== undefined) killPod(cgroup);
    return 0;
  }
  try {
    if (force) for (const child of childrenOf(supervisor)) signal(() => kernel.kill(child, SIGKILL));
    signal(() => kernel.pidfdSendSignal(pidfd, force ? SIGKILL : SIGTERM));
  } finally {
    closeSync(pidfd);
  }
  return 0;
}

// Where machined has made the pod's cgroup, nspawn itself stays in its caller's: only what it has started is in there.
function supervises(pid: number, pod: readonly number[]): boolean {
  return pod.includes(pid) || childrenOf(pid).some((child) => pod.includes(child));
}

function signal(send: () => void): void {
  try {
    send();
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
