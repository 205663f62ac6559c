// The stop entry point: signals the pod (contract 3, 8.7). Working directory P.
//
// The number in P/pid may by now be another process's, when the app ended and its children keep the pod alive:
// only a process in the pod's cgroup is signalled.

import { closeSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseStopArguments } from '@rkt/stage1-base/arguments';
import { readPgid, readPid } from '@rkt/stage1-base/pids';
import { findPodCgroup, killPod, podPids } from '@rkt/stage1-base/pod-cgroup';

import { FlyError } from './errors.ts';
import type { EntryPointCall } from './run.ts';

const SIGKILL = 9;
const SIGTERM = 15;

/** Sends SIGTERM to the app, or SIGKILL with --force to all of the pod. @throws FlyError `process-gone` */
export function stop(
  { args, cwd }: Pick<EntryPointCall, 'args' | 'cwd'>,
  kernel: Kernel = openKernel(),
): number {
  const { force } = parseStopArguments(args);
  const dir = podDir(cwd);
  const signal = force ? SIGKILL : SIGTERM;
  const cgroup = findPodCgroup(dir);
  if (cgroup !== undefined && force) {
    killPod(cgroup);
    return 0;
  }
  const main = readPid(dir);
  if (main === undefined) throw new FlyError('process-gone', 'the pod has not started its app yet');
  if (cgroup === undefined) return signalWithoutCgroup(kernel, main, readPgid(dir), signal);
  const members = podPids(cgroup);
  // The app decides what becomes of its children, unless it is gone.
  const targets = members.includes(main) ? [main] : members;
  for (const pid of targets) signalMember(kernel, pid, signal, () => podPids(cgroup));
  return 0;
}

// The descriptor is opened before membership is checked: between the two the number cannot change hands.
function signalMember(kernel: Kernel, pid: number, signal: number, members: () => number[]): void {
  let pidfd: number;
  try {
    pidfd = kernel.pidfdOpen(pid, 0);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return;
    throw error;
  }
  try {
    if (members().includes(pid)) kernel.pidfdSendSignal(pidfd, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  } finally {
    closeSync(pidfd);
  }
}

function signalWithoutCgroup(kernel: Kernel, pid: number, pgid: number | undefined, signal: number): number {
  for (const target of pgid === undefined ? [pid] : [pid, -pgid]) {
    try {
      kernel.kill(target, signal);
      return 0;
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
  throw new FlyError('process-gone', `process ${pid} of the pod is not running anymore`);
}
