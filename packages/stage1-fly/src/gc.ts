// The gc entry point: ends what is left of the pod and removes its cgroup. The mounts are gone with their namespace.
// Working directory P.

import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseGcArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { endPod } from '@rkt/stage1-base/pod-cgroup';

/** Kills and removes. @throws RktError when a cgroup does not go away */
export function gc({ args, cwd }: Pick<EntryPointCall, 'args' | 'cwd'>): number {
  parseGcArguments(args);
  endPod(podDir(cwd));
  return 0;
}
