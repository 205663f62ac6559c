// P/subcgroup of pods whose cgroup others manage: machined, or the host's systemd (contract 2.27). Runs in the run entry
// point.

import path from 'node:path';

import { type CgroupHierarchy, cgroupMode, readCgroups } from '@rkt/linux/cgroup';
import { subcgroupFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { basePath, podCgroupName } from '@rkt/stage1-base/pod-cgroup';
import { writeNew } from '@rkt/stage1-base/write-new';

import type { HostManager } from './machined.ts';

const MODE = 0o644;

/** The path the pod's processes will have. */
export function recordSubcgroup(
  pod: PodDir,
  uuid: string,
  manager: HostManager,
  mounted: readonly CgroupHierarchy[],
): void {
  const unified = cgroupMode(mounted) === 'unified';
  const subcgroup = manager.service
    ? path.join(basePath(readCgroups()).slice(1), unified ? 'payload' : '')
    : path.join('machine.slice', podCgroupName(uuid));
  writeNew(subcgroupFile(pod), subcgroup, MODE);
}
