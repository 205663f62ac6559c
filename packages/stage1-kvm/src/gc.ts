// The gc entry point: ends what is left of a dead pod and removes what it has on the host beside its directory: processes,
// cgroups, networks. Taps, mounts and sockets end with qemu or with the directory. Working directory P.

import { podDir } from '@rkt/pod-layout/pod-paths';
import { parseGcArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { endPod } from '@rkt/stage1-base/pod-cgroup';
import { leaveNetworks } from '@rkt/stage1-systemd/host/leave-networks';

/** Kills and removes. @throws RktError when something of the pod does not go away */
export async function gc({ args, cwd, env }: Pick<EntryPointCall, 'args' | 'cwd' | 'env'>): Promise<number> {
  const options = parseGcArguments(args);
  const pod = podDir(cwd);
  endPod(pod);
  await leaveNetworks(pod, options, env);
  return 0;
}
