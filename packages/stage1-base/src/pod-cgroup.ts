// A cgroup of the pod's own in every hierarchy, under one path that P/subcgroup records (contract 2.27).
// Made and joined by `run`, emptied and removed by `gc`, on the host. The pod's processes are born in it, so it
// finds them even when their parent is gone.

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { cgroupPids, hierarchies, makeCgroup, readCgroups, removeCgroup } from '@rkt/linux/cgroup';
import type { Hierarchy } from '@rkt/linux/cgroup';
import { subcgroupFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import { writeNew } from './write-new.ts';

const SUBCGROUP_FILE_MODE = 0o644;

/** The cgroup of one pod. */
export interface PodCgroup {
  /** The pod's path, the same in every hierarchy, with a leading slash. */
  readonly subcgroup: string;
  /** The pod's directory in every hierarchy that has one, absolute. */
  readonly directories: readonly string[];
}

/** Last component of every pod's cgroup path: systemd's name for a registered machine. */
export function podCgroupName(uuid: string): string {
  return `machine-rkt\\x2d${uuid.replaceAll('-', '\\x2d')}.scope`;
}

/**
 * Makes the pod's cgroup below the caller's own (that of systemd's hierarchy, else of the cpu controller, else of
 * cgroup v2) in every mounted hierarchy, and records its path. Hierarchies that cannot be written are left out.
 * Returns undefined, recording nothing, where no hierarchy is mounted.
 */
export function createPodCgroup(pod: PodDir, uuid: string): PodCgroup | undefined {
  const mounted = hierarchies();
  const subcgroup = path.join(ownCgroup(), podCgroupName(uuid));
  const directories: string[] = [];
  for (const hierarchy of mounted) {
    const directory = path.join(hierarchy.mountPoint, subcgroup);
    if (makeInHierarchy(hierarchy, directory)) directories.push(directory);
  }
  if (directories.length === 0) return undefined;
  writeNew(subcgroupFile(pod), subcgroup, SUBCGROUP_FILE_MODE);
  return { subcgroup, directories };
}

/**
 * Moves process `pid` with all its threads into the pod's cgroup. The first move in a while waits some 10 ms for the
 * kernel, in a thread of libuv's pool: start it early, await it before anything of the pod runs.
 * @throws RktError when a hierarchy refuses
 */
export async function joinPodCgroup({ directories }: PodCgroup, pid: number): Promise<void> {
  for (const directory of directories) {
    try {
      await writeFile(path.join(directory, 'cgroup.procs'), `${pid}\n`);
    } catch (cause) {
      throw wrap(`unable to join cgroup ${directory}`, cause);
    }
  }
}

/** The cgroup that `run` recorded, or undefined when it recorded none. Directories that are gone are left out. */
export function findPodCgroup(pod: PodDir): PodCgroup | undefined {
  const subcgroup = readSubcgroup(pod);
  if (subcgroup === undefined) return undefined;
  const directories = hierarchies().map(({ mountPoint }) => path.join(mountPoint, subcgroup));
  return { subcgroup, directories };
}

/** Processes in the pod's cgroup and below, in any hierarchy. */
export function podPids({ directories }: PodCgroup): number[] {
  return [...new Set(directories.flatMap((directory) => cgroupPids(directory)))];
}

/** Kills what is left in the pod's cgroup and removes it from every hierarchy. @throws RktError */
export function removePodCgroup({ directories }: PodCgroup): void {
  for (const directory of directories) removeCgroup(directory);
}
