// Moves this process, and what it starts, to where another one is, in every hierarchy. Runs in the enter entry point, on
// the host.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import path from 'node:path';

import { wrap } from '@rkt/diagnostics/rkt-error';
import { type CgroupHierarchy, type CgroupMembership, readCgroups } from '@rkt/linux/cgroup';

/**
 * Joins the version 1 cgroups of process `pid`, and opens its version 2 cgroup, in which a child can be born. Only the
 * calling thread moves, and with it the processes it starts: that does not wait for the kernel, as a move in version 2
 * does, and this process does not count against the app's limits.
 * @throws RktError naming the cgroup
 */
export function joinCgroupsOf(pid: number, mounted: readonly CgroupHierarchy[]): number | undefined {
  let born: number | undefined;
  for (const membership of readCgroups(pid)) {
    const hierarchy = mounted.find((candidate) => isOf(membership, candidate));
    if (hierarchy === undefined) continue;
    const directory = path.join(hierarchy.mountPoint, membership.path);
    try {
      if (hierarchy.version === 1) writeControl(path.join(directory, 'tasks'), '0');
      else born = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (cause) {
      throw wrap(`unable to join cgroup ${directory}`, cause);
    }
  }
  return born;
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
