// The stop entry point (contract stage1 8.7). Working directory P. SIGTERM to qemu presses ctrl-alt-del in the guest, and
// after half a minute ends it (tools/build-stage1/vm-exit.c).

import { SIGKILL, SIGTERM } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseStopArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { signalMember } from '@rkt/stage1-base/member-process';
import { readPid } from '@rkt/stage1-base/pids';
import { findPodCgroup, killPod, podPids } from '@rkt/stage1-base/pod-cgroup';

import { KvmError } from './errors.ts';

/** Asks the guest to stop its apps, or with --force kills qemu. @throws KvmError `process-gone` before the start */
export function stop(
  { args, cwd }: Pick<EntryPointCall, 'args' | 'cwd'>,
  kernel: Kernel = openKernel(),
): number {
  const { force } = parseStopArguments(args);
  const dir = podDir(cwd);
  const pid = readPid(dir);
  if (pid === undefined) throw new KvmError('process-gone', 'the pod has not been started yet');
  const cgroup = findPodCgroup(dir);
  if (force && cgroup !== undefined) {
    killPod(cgroup);
    return 0;
  }
  const isMember = (): boolean => cgroup === undefined || podPids(cgroup).includes(pid);
  signalMember(kernel, pid, force ? SIGKILL : SIGTERM, isMember);
  return 0;
}
