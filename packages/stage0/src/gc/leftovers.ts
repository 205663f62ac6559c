// What is left running of a dead pod: when its supervisor was killed the container goes on, and the pod's cgroup is
// the record of it. stage1's gc sees to it first; this is the net below, before files are deleted. Runs in stage0.

import { existsSync } from 'node:fs';
import path from 'node:path';

import { hierarchies, killCgroup } from '@rkt/linux/cgroup';
import { type PodDir, subcgroupFile } from '@rkt/pod-layout/pod-paths';

import { readIfThere } from '../pod/record.ts';

// Last component of a cgroup that is one pod's own. The cgroup of a system service is not, and is systemd's to clean.
const OWN_CGROUP = /^machine-rkt\\x2d[0-9a-f]{8}(\\x2d[0-9a-f]+)+\.scope$/;

/** Kills every process in the pod's own cgroup, in every hierarchy. */
export function killLeftovers(pod: PodDir): void {
  const subcgroup = readIfThere(subcgroupFile(pod))?.trim();
  if (subcgroup === undefined || !OWN_CGROUP.test(path.basename(subcgroup))) return;
  for (const { mountPoint } of hierarchies()) {
    const directory = path.join(mountPoint, subcgroup);
    if (existsSync(directory)) killCgroup(directory);
  }
}
