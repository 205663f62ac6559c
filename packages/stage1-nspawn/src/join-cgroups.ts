// Moves this process to where another one is, in every hierarchy. Runs in the enter entry point, on the host.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import path from 'node:path';

import { wrap } from '@rkt/diagnostics/rkt-error';
import { type CgroupHierarchy, type CgroupMembership, readCgroups } from '@rkt/linux/cgroup';

/**
 * Joins the cgroups of process `pid`. In version 1 hierarchies only the calling thread moves, and with it the processes
 * it starts: that does not wait for the kernel, and this process does not count against the app's limits.
 * @throws RktError naming the cgroup
 */
export function joinCgroupsOf(pid: number, mounted: readonly CgroupHierarchy[]): void {
  for (const membership of readCgroups(pid)) {
    const hierarchy = mounted.find((candidate) => isOf(membership, candidate));
    if (hierarchy === undefined) continue;
    const directory = path.join(hierarchy.mountPoint, membership.path);
    try {
      writeControl(path.join(directory, hierarchy.version === 1 ? 'tasks' : 'cgroup.procs'), '0');
    } catch (cause) {
      throw wrap(`unable to join cgroup ${directory}`, cause);
    }
  }
}

function isOf({ hierarchyId, name, controllers }: CgroupMembership, hierarchy: CgroupHierarchy): boolean {
  if (hierarchyId === 0) return hierarchy.version === 2;
  if (hierarchy.version !== 1 || hierarchy.name !== name) return false;
  return controllers.every((controller) => hierarchy.controllers.includes(controller));
}

function writeControl(file: string, text: string): void {
  const fd = openSync(file, constants.O_WRONLY);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
