// A cgroup of the pod's own in every hierarchy, under one path that P/subcgroup records (contract 2.27).
// Made and joined by `run`, emptied and removed by `gc`, on the host. The pod's processes are born in it, so it
// finds them even when their parent is gone.

import { closeSync, constants, existsSync, openSync, readFileSync, write, writeSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import {
  cgroupPids,
  createCgroup,
  hierarchies,
  killCgroup,
  readCgroups,
  removeCgroup,
} from '@rkt/linux/cgroup';
import type { CgroupHierarchy, CgroupMembership } from '@rkt/linux/cgroup';
import { parseMountInfo } from '@rkt/linux/mount-info';
import { subcgroupFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import { Stage1Error } from './errors.ts';
import { writeNew } from './write-new.ts';

const SUBCGROUP_FILE_MODE = 0o644;

/** The cgroup of one pod. */
export interface PodCgroup {
  /** The pod's path, the same in every hierarchy, with a leading slash. */
  readonly subcgroup: string;
  /** The pod's directory in every hierarchy. */
  readonly directories: readonly PodCgroupDirectory[];
}

/** The pod's directory in one hierarchy. */
export interface PodCgroupDirectory {
  readonly version: 1 | 2;
  /** Absolute. */
  readonly path: string;
  /** Whether this process has been in it since before it was asked for: the move need not be waited for again. */
  readonly joined: boolean;
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

/** Where systemd keeps machines. */
const MACHINE_SLICE = '/machine.slice';

/** Controllers that limits of apps need, on hosts with version 2 alone. */
const LIMITING: readonly string[] = ['cpu', 'memory', 'pids'];

/**
 * Makes the pod's cgroup in every mounted hierarchy, and records its path: below the caller's, or, on a host with
 * version 2 alone, below machine.slice, since a cgroup that holds processes, as the caller's does, cannot hand
 * controllers on (cgroups(7)). Hierarchies that cannot be written are left out. Returns undefined, recording nothing, when none is left.
 */
export function createPodCgroup(
  pod: PodDir,
  uuid: string,
  mounted: readonly CgroupHierarchy[] = mountedHierarchies(),
): PodCgroup | undefined {
  const memberships = readCgroups();
  const unified = mounted.every(({ version }) => version === 2);
  const base = unified ? MACHINE_SLICE : basePath(memberships);
  const name = podCgroupName(uuid);
  const subcgroup = basename(base) === name ? base : join(base, name);
  const directories = directoriesIn(mounted, subcgroup, memberships).filter(createDirectory);
  if (directories.length === 0) return undefined;
  if (unified) for (const { mountPoint } of mounted) handOnControllers(mountPoint, dirname(subcgroup));
  writeNew(subcgroupFile(pod), subcgroup, SUBCGROUP_FILE_MODE);
  return { subcgroup, directories };
}

// From the root down to `parent`. What the host does not let us have, limits will be missed by whoever needs them.
function handOnControllers(mountPoint: string, parent: string): void {
  const components = parent.split('/').filter((component) => component !== '');
  for (let depth = 0; depth <= components.length; depth += 1) {
    const file = [mountPoint, ...components.slice(0, depth), 'cgroup.subtree_control'].join('/');
    for (const controller of LIMITING) {
      try {
        writeControl(file, `+${controller}`);
      } catch (error) {
        if (!NOT_HANDED_ON.some((code) => hasCode(error, code))) throw error;
      }
    }
  }
}

// No such controller, or one that version 1 has; the cgroup holds processes; it is not ours to change.
const NOT_HANDED_ON: readonly string[] = [
  'ENOENT',
  'EINVAL',
  'EBUSY',
  'EACCES',
  'EPERM',
  'EROFS',
  'EOPNOTSUPP',
];

/** The hierarchies in which the pod has a cgroup of its own. */
export function ownHierarchies(
  { subcgroup, directories }: PodCgroup,
  mounted: readonly CgroupHierarchy[],
): CgroupHierarchy[] {
  const own = new Set(directories.map((directory) => directory.path));
  return mounted.filter(({ mountPoint }) => own.has(`${mountPoint}${subcgroup}`));
}

/** Controllers that can limit what is in the pod's cgroup. */
export function usableControllers(cgroup: PodCgroup, mounted: readonly CgroupHierarchy[]): string[] {
  return ownHierarchies(cgroup, mounted).flatMap(({ version, controllers, mountPoint }) => {
    if (version === 1) return controllers;
    const handedOn = readOptional(`${mountPoint}${cgroup.subcgroup}/cgroup.controllers`) ?? '';
    return handedOn.split(/\s+/).filter((word) => word !== '');
  });
}

interface MountedDirectory extends PodCgroupDirectory {
  readonly hierarchy: CgroupHierarchy;
}

function directoriesIn(
  mounted: readonly CgroupHierarchy[],
  subcgroup: string,
  memberships: readonly CgroupMembership[] = [],
): MountedDirectory[] {
  const unified = memberships.find(({ hierarchyId }) => hierarchyId === 0)?.path;
  return mounted.map((hierarchy) => ({
    hierarchy,
    version: hierarchy.version,
    path: `${hierarchy.mountPoint}${subcgroup}`,
    joined: hierarchy.version === 2 && unified === subcgroup,
  }));
}

// Hosts have many mounts, of which few are looked at here.
function mountedHierarchies(): CgroupHierarchy[] {
  const lines = readFileSync('/proc/self/mountinfo', 'latin1').split('\n');
  return hierarchies(parseMountInfo(lines.filter((line) => line.includes(' - cgroup')).join('\n')));
}

function createDirectory({ hierarchy, path }: MountedDirectory): boolean {
  try {
    createCgroup(path);
    if (hierarchy.version === 1 && hierarchy.controllers.includes('cpuset')) {
      inheritCpuset(hierarchy.mountPoint, path);
    }
    return true;
  } catch (error) {
    // Mounted read-only, as in a container: the pod stays where rkt is.
    if (['EROFS', 'EACCES', 'EPERM'].some((code) => hasCode(error, code))) return false;
    throw error;
  }
}

// A version 1 cpuset starts without CPUs and memory nodes, and nobody can join it.
function inheritCpuset(mountPoint: string, directory: string): void {
  const components = directory.slice(mountPoint.length + 1).split('/');
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    let inherited = '';
    for (let depth = 0; depth <= components.length; depth += 1) {
      const file = [mountPoint, ...components.slice(0, depth), name].join('/');
      const own = readFileSync(file, 'latin1').trim();
      if (own === '') writeControl(file, inherited);
      else inherited = own;
    }
  }
}

/**
 * Moves this process into the pod's cgroup. To be followed by execve: in version 1 hierarchies only the main thread
 * moves, the others end there. Version 2 moves whole processes, and the first such move in a while waits some 10 ms
 * for the kernel; a thread of libuv's pool waits: call early, await before anything of the pod runs.
 * @throws Stage1Error `cgroup` when a hierarchy refuses
 */
export async function joinPodCgroup({ directories }: PodCgroup): Promise<void> {
  try {
    // The wait of version 2 holds up every other change of cgroups, so it comes last.
    for (const { version, path } of directories) if (version === 1) writeControl(`${path}/tasks`, '0');
    for (const { version, path, joined } of directories) {
      if (version === 2 && !joined) await joinInThread(path);
    }
  } catch (cause) {
    throw new Stage1Error('cgroup', `unable to join the pod's cgroup: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function joinInThread(directory: string): Promise<void> {
  const fd = openSync(`${directory}/cgroup.procs`, constants.O_WRONLY);
  try {
    await writeInThread(fd, '0');
  } finally {
    closeSync(fd);
  }
}

function writeInThread(fd: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, text, (error) => (error === null ? resolve() : reject(error)));
  });
}

/**
 * The cgroup that `run` recorded, or undefined when it recorded none that is the pod's alone: that of a service is the
 * service manager's to clean. The directories need not exist any more.
 */
export function findPodCgroup(
  pod: PodDir,
  mounted: readonly CgroupHierarchy[] = mountedHierarchies(),
): PodCgroup | undefined {
  const record = readOptional(subcgroupFile(pod))?.trim() ?? '';
  // Records of machined's scopes have no leading slash (contract 2.27).
  const subcgroup = record.startsWith('/') ? record : `/${record}`;
  // gc kills and deletes what it finds here: nothing above a pod's cgroup must get through.
  if (subcgroup !== normalize(subcgroup) || !POD_CGROUP.test(basename(subcgroup))) return undefined;
  return { subcgroup, directories: directoriesIn(mounted, subcgroup) };
}

const POD_CGROUP = /^machine-rkt\\x2d[0-9a-f]{8}(\\x2d[0-9a-f]{4,12}){4}\.scope$/;

/** Processes in the pod's cgroup and below, in any hierarchy, without repeats. */
export function podPids({ directories }: PodCgroup): number[] {
  return [...new Set(directories.flatMap(({ path }) => cgroupPids(path, { recursive: true })))];
}

/** Kills every process of the pod and waits for their end. @throws LinuxError `cgroup-busy` */
export function killPod({ directories }: PodCgroup): void {
  // First where the kernel can kill or freeze them together, so that none forks away or gives its pid to a stranger.
  const together = ({ path }: PodCgroupDirectory): boolean =>
    existsSync(`${path}/cgroup.kill`) || existsSync(`${path}/freezer.state`);
  const first = directories.filter(together);
  for (const { path } of [...first, ...directories.filter((each) => !first.includes(each))]) killCgroup(path);
}

/** Removes the pod's cgroup, which must be empty, from every hierarchy. @throws LinuxError `cgroup-busy` */
export function removePodCgroup({ directories }: PodCgroup): void {
  for (const { path } of directories) removeCgroup(path);
}

/**
 * Ends what is left of a pod, and removes the cgroup that `run` recorded, if it did.
 * @throws LinuxError `cgroup-busy` when a cgroup does not go away
 */
export function endPod(pod: PodDir): void {
  const cgroup = findPodCgroup(pod);
  if (cgroup === undefined) return;
  killPod(cgroup);
  removePodCgroup(cgroup);
}

function readOptional(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function writeControl(file: string, text: string): void {
  const fd = openSync(file, constants.O_WRONLY);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
