// Which limits of apps this host can enforce. Runs in the entry points that plan apps, on the host.

import { readFileSync } from 'node:fs';

import { type CgroupHierarchy, cgroupMode } from '@rkt/linux/cgroup';
import { CAP_SYS_RESOURCE } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { type PodCgroup, usableControllers } from '@rkt/stage1-base/pod-cgroup';
import type { CgroupAbilities } from '@rkt/stage1-systemd/host/isolators';

/**
 * Limits of a pod whose cgroup others manage hold on hosts with version 2 alone: nspawn mounts version 1 read-only. `own`
 * are the hierarchies that the pod's systemd sees.
 */
export function cgroupAbilities(
  kernel: Kernel,
  mounted: readonly CgroupHierarchy[],
  { cgroup, own }: { readonly cgroup: PodCgroup | undefined; readonly own: readonly CgroupHierarchy[] },
): CgroupAbilities {
  const version = cgroupMode(mounted) === 'unified' ? 2 : 1;
  const managed = version === 2 ? mounted.flatMap(({ controllers }) => controllers) : [];
  return {
    version,
    controllers: cgroup === undefined ? managed : usableControllers(cgroup, own),
    leastOomScoreAdjust: leastOomScoreAdjust(kernel),
  };
}

// proc_pid_oom_score_adj(5): lower than it was takes a capability.
function leastOomScoreAdjust(kernel: Kernel): number {
  const canLower = ((kernel.capGet().effective >> BigInt(CAP_SYS_RESOURCE)) & 1n) === 1n;
  return canLower ? -1000 : Number(readFileSync('/proc/self/oom_score_adj', 'latin1'));
}
