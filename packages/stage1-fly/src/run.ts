// The run entry point: becomes the pod's one app (contract 3). Runs with rkt's pid, working directory P.

import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseRunArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { lockDescriptor } from '@rkt/stage1-base/lock-fd';
import { createPodCgroup, joinPodCgroup } from '@rkt/stage1-base/pod-cgroup';

/** Flags of other flavours that fly has never had (contract 3). */
const UNKNOWN_FLAGS = ['ipc', 'private-users', 'mutable'];

/** Becomes the app; returns an exit status only when the app's program cannot be executed. @throws RktError */
export async function run(call: EntryPointCall): Promise<number> {
  const options = parseRunArguments(call.args, UNKNOWN_FLAGS);
  const lockFd = lockDescriptor(call.env);
  // Joining waits for the kernel: let it, while the rest is loaded and done.
  const cgroup = createPodCgroup(podDir(call.cwd), options.uuid);
  const joined = cgroup === undefined ? undefined : joinPodCgroup(cgroup);
  joined?.catch(() => {});
  const { becomeApp } = await import('./become-app.ts');
  return becomeApp(call, { options, lockFd, joined });
}
