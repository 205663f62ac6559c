// The stop entry point: signals the pod (contract 3, 8.7). Working directory P.
//
// The number in P/pid may by now be another process's, when the app ended and its children keep the pod alive:
// only a process in the pod's cgroup is signalled.

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { SIGKILL, SIGTERM } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseStopArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { signalMember } from '@rkt/stage1-base/member-process';
import { readPgid, readPid } from '@rkt/stage1-base/pids';
import { findPodCgroup, killPod, podPids } from '@rkt/stage1-base/pod-cgroup';

import { FlyError } from './errors.ts';

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
  for (const pid of targets) signalMember(kernel, pid, signal, () => podPids(cgroup).includes(pid));
  return 0;
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
