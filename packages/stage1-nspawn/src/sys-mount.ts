// /sys of the pod, which shows the devices of a network namespace: mounted here, in the pod's, since systemd-nspawn would
// show those of the namespace it was started in. nspawn leaves what is mounted already as it is. Runs in the run entry
// point, in the pod's own mount and network namespace.

import { writeFileSync } from 'node:fs';

import { MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REMOUNT } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { onHost } from '@rkt/pod-layout/stage1-paths';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';

const SAFE = MS_NOSUID | MS_NOEXEC | MS_NODEV;
/** IFF_UP and IFF_LOOPBACK of netdevice(7). */
const LOOPBACK_UP = '0x9';

/** Mounts /sys into stage1. */
export function mountSys(kernel: Kernel, root: Stage1Root): void {
  kernel.mount('sysfs', onHost(root, '/sys'), 'sysfs', SAFE, null);
}

/** Brings up the loopback device of the network namespace that stage1's /sys shows. */
export function bringUpLoopback(root: Stage1Root): void {
  writeFileSync(onHost(root, '/sys/class/net/lo/flags'), LOOPBACK_UP);
}

/** Makes stage1's /sys itself read-only; mounts below it stay as they are. */
export function protectSys(kernel: Kernel, root: Stage1Root): void {
  kernel.mount(null, onHost(root, '/sys'), null, MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE, null);
}
