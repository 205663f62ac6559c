// A cgroup of the pod's own in every hierarchy, under one path that P/subcgroup records (contract 2.27).
// Made and joined by `run`, emptied and removed by `gc`, on the host. The pod's processes are born in it, so it
// finds them even when their parent is gone.

import { closeSync, constants, openSync, readFileSync, write, writeSync } from 'node:fs';
import path from 'node:path';

import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import {
  cgroupPids,
  createCgroup,
  hierarchies,
  killCgroup,
  readCgroups,
  removeCgroup,
} from '@rkt/linux/cgroup';
import type { CgroupHierarchy, CgroupMembership } from '@rkt/linux/cgroup';
import { subcgroupFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import { Stage1Error } from './errors.ts';
import { writeNew } from './write-new.ts';

const SUBCGROUP_FILE_MODE = 0o644;

/** The cgroup of one pod. */
export interface PodCgroup {
  /** The pod's path, the same in every hierarchy, with a leading slash. */
  readonly subcgroup: string;
  /** The pod's directory in every hierarchy, absolute. */
  readonly directories: readonly string[];
}

/** Last component of every pod's cgroup path: what systemd calls a registered machine. */
export function podCgroupName(uuid: string): string {
  return `machine-rkt\\x2d${uuid.replaceAll('-', '\\x2d')}.scope`;
}

/**
 * Path of the cgroup of a process for all hierarchies: that of systemd's hierarchy, else of the cpu controller, else
 * of version 2 (contract 2.27).
 */
export function basePath(memberships: readonly CgroupMembership[]): string {
  const chosen =
    memberships.find(({ name }) => name === 'systemd') ??
    memberships.find(({ controllers }) => controllers.includes('cpu')) ??
    memberships.find(({ hierarchyId }) => hierarchyId === 0);
  return chosen?.path ?? '/';
}

/**
 * Makes the pod's cgroup below the caller's in every mounted hierarchy, and records its path. Hierarchies that cannot
 * be written are left out. Returns undefined, recording nothing, when none is left.
 */
export function createPodCgroup(
  pod: PodDir,
  uuid: string,
  mounted: readonly CgroupHierarchy[] = hierarchies(),
): PodCgroup | undefined {
  const subcgroup = path.join(basePath(readCgroups()), podCgroupName(uuid));
  const directories = mounted
    .map((hierarchy) => ({ hierarchy, directory: path.join(hierarchy.mountPoint, subcgroup) }))
    .filter(({ hierarchy, directory }) => createIn(hierarchy, directory))
    .map(({ directory }) => directory);
  if (directories.length === 0) return undefined;
  writeNew(subcgroupFile(pod), subcgroup, SUBCGROUP_FILE_MODE);
  return { subcgroup, directories };
}

function createIn({ controllers, mountPoint }: CgroupHierarchy, directory: string): boolean {
  try {
    createCgroup(directory);
    if (controllers.includes('cpuset')) inheritCpuset(mountPoint, directory);
    return true;
  } catch (error) {
    // Mounted read-only, as in a container: the pod stays where rkt is.
    if (['EROFS', 'EACCES', 'EPERM'].some((code) => hasCode(error, code))) return false;
    throw error;
  }
}

// A version 1 cpuset starts without CPUs and memory nodes, and nobody can join it.
function inheritCpuset(mountPoint: string, directory: string): void {
  const below = path.relative(mountPoint, directory).split('/');
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    let inherited = '';
    for (let depth = 0; depth <= below.length; depth += 1) {
      const file = path.join(mountPoint, ...below.slice(0, depth), name);
      const own = readOptional(file);
      // Version 2 inherits by itself.
      if (own === undefined) return;
      if (own.trim() === '') writeExisting(file, inherited);
      else inherited = own.trim();
    }
  }
}

/**
 * Moves process `pid` with all its threads into the pod's cgroup. The first move in a while waits some 10 ms for the
 * kernel; that one is made in a thread of libuv's pool: call early, await before anything of the pod runs.
 * @throws Stage1Error `cgroup` when a hierarchy refuses
 */
export async function joinPodCgroup({ directories }: PodCgroup, pid: number): Promise<void> {
  const [first, ...others] = directories;
  if (first === undefined) return;
  await inHierarchy(first, (fd) => writeInThread(fd, String(pid)));
  // The kernel has done its waiting.
  for (const directory of others) await inHierarchy(directory, (fd) => void writeSync(fd, String(pid)));
}

async function inHierarchy(directory: string, move: (fd: number) => Promise<void> | void): Promise<void> {
  try {
    const fd = openSync(path.join(directory, 'cgroup.procs'), constants.O_WRONLY);
    try {
      await move(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw wrap(
      `unable to join cgroup ${directory}`,
      new Stage1Error('cgroup', `unable to join cgroup ${directory}: ${(cause as Error).message}`),
    );
  }
}

function writeInThread(fd: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, text, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** The cgroup that `run` recorded, or undefined when it recorded none. Its directories need not exist any more. */
export function findPodCgroup(
  pod: PodDir,
  mounted: readonly CgroupHierarchy[] = hierarchies(),
): PodCgroup | undefined {
  const subcgroup = readOptional(subcgroupFile(pod))?.trim();
  if (subcgroup === undefined || subcgroup === '') return undefined;
  // gc kills and deletes what is recorded: the record must name a pod's cgroup and nothing above it.
  if (!isPodCgroup(subcgroup)) throw new Stage1Error('cgroup', `not the cgroup of a pod: ${subcgroup}`);
  const directories = mounted.map(({ mountPoint }) => path.join(mountPoint, subcgroup));
  return { subcgroup, directories };
}

function isPodCgroup(subcgroup: string): boolean {
  return subcgroup === path.normalize(subcgroup) && path.basename(subcgroup).startsWith('machine-rkt\\x2d');
}

/** Processes in the pod's cgroup and below, in any hierarchy, without repeats. */
export function podPids({ directories }: PodCgroup): number[] {
  return [...new Set(directories.flatMap((directory) => cgroupPids(directory, { recursive: true })))];
}

/** Kills every process of the pod and waits for their end. @throws LinuxError `cgroup-busy` */
export function killPod({ directories }: PodCgroup): void {
  for (const directory of directories) killCgroup(directory);
}

/** Removes the pod's cgroup, which must be empty, from every hierarchy. @throws LinuxError `cgroup-busy` */
export function removePodCgroup({ directories }: PodCgroup): void {
  for (const directory of directories) removeCgroup(directory);
}

function readOptional(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function writeExisting(file: string, text: string): void {
  const fd = openSync(file, constants.O_WRONLY);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
