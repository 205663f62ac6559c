// The gc entry point: ends what is left of the pod and removes its cgroup. The mounts are gone with their namespace.
// Working directory P.

import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseGcArguments } from '@rkt/stage1-base/arguments';
import { findPodCgroup, killPod, removePodCgroup } from '@rkt/stage1-base/pod-cgroup';

import type { EntryPointCall } from './run.ts';

/** Kills and removes. @throws RktError when a cgroup does not go away */
export function gc({ args, cwd }: Pick<EntryPointCall, 'args' | 'cwd'>): number {
  parseGcArguments(args);
  const cgroup = findPodCgroup(podDir(cwd));
  if (cgroup !== undefined) {
    killPod(cgroup);
    removePodCgroup(cgroup);
  }
  return 0;
}
