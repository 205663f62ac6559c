// Lets the pod's systemd manage the pod's own cgroup on hosts with version 1 hierarchies (contract 2.27): nspawn mounts
// controllers read-only, and limits and device policies would silently have no effect. Mounted before nspawn starts,
// it leaves these mounts as they are. Runs in the run entry point, in the pod's own mount and network namespace.

import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';

import type { CgroupHierarchy } from '@rkt/linux/cgroup';
import {
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  MS_STRICTATIME,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { onHost } from '@rkt/pod-layout/stage1-paths';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';

const SAFE = MS_NOSUID | MS_NOEXEC | MS_NODEV;

/** Where systemd puts the units of the pod, below the pod's cgroup. */
const UNITS_SLICE = 'system.slice';

/** What is to be mounted. */
export interface CgroupMounts {
  readonly root: Stage1Root;
  /** The pod's path in every hierarchy. */
  readonly subcgroup: string;
  /** Controllers that units use. */
  readonly controllers: readonly string[];
}

/** Makes the part of the pod's cgroup that its systemd may change, in the version 1 hierarchies of `controllers`. */
export function createUnitSlices(
  mounted: readonly CgroupHierarchy[],
  subcgroup: string,
  controllers: readonly string[],
): void {
  for (const { mountPoint } of managed(mounted, controllers)) {
    mkdirSync(path.join(mountPoint, subcgroup, UNITS_SLICE), { recursive: true, mode: 0o755 });
  }
}

function managed(mounted: readonly CgroupHierarchy[], controllers: readonly string[]): CgroupHierarchy[] {
  return mounted.filter(
    (hierarchy) =>
      hierarchy.version === 1 && hierarchy.controllers.some((name) => controllers.includes(name)),
  );
}

/** Mounts those of `own`, in which the pod has a cgroup, into stage1, where /sys is mounted already. */
export function mountCgroups(
  kernel: Kernel,
  own: readonly CgroupHierarchy[],
  { root, subcgroup, controllers }: CgroupMounts,
): void {
  const tree = onHost(root, '/sys/fs/cgroup');
  kernel.mount('tmpfs', tree, 'tmpfs', SAFE | MS_STRICTATIME, 'mode=755,nr_inodes=1k');
  for (const hierarchy of managed(own, controllers)) {
    const directory = path.join(tree, hierarchy.controllers.join(','));
    mkdirSync(directory);
    mountHierarchy(kernel, path.join(hierarchy.mountPoint, subcgroup), directory);
    if (hierarchy.controllers.length > 1) {
      for (const name of hierarchy.controllers) symlinkSync(path.basename(directory), path.join(tree, name));
    }
  }
}

// Only below system.slice can anything be changed: not even the pod's PID 1 lifts a limit of the pod itself. systemd
// takes a controller for usable when it may write cgroup.procs at the top.
function mountHierarchy(kernel: Kernel, podCgroup: string, directory: string): void {
  kernel.mount(podCgroup, directory, null, MS_BIND, null);
  for (const name of [UNITS_SLICE, 'cgroup.procs']) {
    const writable = path.join(directory, name);
    kernel.mount(writable, writable, null, MS_BIND, null);
  }
  kernel.mount(null, directory, null, MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE, null);
}

/** Where systemd looks for control groups. */
const CGROUPS = '/sys/fs/cgroup';

/**
 * Makes this mount namespace look like that of a host with version 2 alone: from inside a user namespace the kernel lets
 * nobody mount version 1, and systemd-nspawn would have to. The pod's systemd then has no controllers.
 */
export function showUnifiedCgroups(kernel: Kernel): void {
  kernel.mount('tmpfs', CGROUPS, 'tmpfs', SAFE, 'mode=755,nr_inodes=1k');
  kernel.mount('cgroup2', CGROUPS, 'cgroup2', SAFE, null);
}
