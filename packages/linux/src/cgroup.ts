// Control groups, version 1 (each controller its own tree, or hybrid with an empty version 2 tree) and version 2
// (cgroups(7)). Works on the trees where the host mounted them. Runs in stage0 (gc, stop) and stage1.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

import { SIGKILL } from './constants.ts';
import { LinuxError } from './errors.ts';
import { asKernelError, KernelError, withKernelErrors } from './errno.ts';
import { openKernel } from './libc.ts';
import { readMountInfo, type MountEntry } from './mount-info.ts';

/** A mounted hierarchy. */
export interface CgroupHierarchy {
  readonly version: 1 | 2;
  /** Its controllers, e.g. `cpu` and `cpuacct`; empty for a hierarchy that only has a name. */
  readonly controllers: readonly string[];
  /** Name of a version 1 hierarchy, e.g. `systemd`. */
  readonly name?: string;
  readonly mountPoint: string;
}

/** Where a process is in one hierarchy: a line of /proc/PID/cgroup. */
export interface CgroupMembership {
  /** 0 is version 2. */
  readonly hierarchyId: number;
  readonly controllers: readonly string[];
  readonly name?: string;
  /** Absolute path in the hierarchy, as seen from the reader's cgroup namespace. */
  readonly path: string;
}

/** How the host mounts cgroups: only version 1, version 1 with an additional version 2 tree, or only version 2. */
export type CgroupMode = 'none' | 'legacy' | 'hybrid' | 'unified';

// Options of a version 1 mount that are not controllers (cgroup_show_options in the kernel).
const NOT_CONTROLLERS =
  /^(rw|ro|xattr|noprefix|clone_children|cpuset_v2_mode|favordynmods|seclabel|name=.*|release_agent=.*)$/;

/** The hierarchies that are mounted, in mount order; the first mount of each counts. */
export function hierarchies(entries: readonly MountEntry[] = readMountInfo()): CgroupHierarchy[] {
  const found = new Map<string, CgroupHierarchy>();
  for (const { fsType, majorMinor, mountPoint, superOptions } of entries) {
    if (found.has(majorMinor)) continue;
    if (fsType === 'cgroup2') {
      found.set(majorMinor, { version: 2, controllers: unifiedControllers(mountPoint), mountPoint });
    } else if (fsType === 'cgroup') {
      const name = superOptions.find((option) => option.startsWith('name='))?.slice('name='.length);
      const controllers = superOptions.filter((option) => !NOT_CONTROLLERS.test(option));
      found.set(majorMinor, { version: 1, controllers, ...(name === undefined ? {} : { name }), mountPoint });
    }
  }
  return [...found.values()];
}

/** How the host mounts cgroups. */
export function cgroupMode(mounted: readonly CgroupHierarchy[] = hierarchies()): CgroupMode {
  const has = (version: 1 | 2): boolean => mounted.some((hierarchy) => hierarchy.version === version);
  if (has(1)) return has(2) ? 'hybrid' : 'legacy';
  return has(2) ? 'unified' : 'none';
}

/** Where a process is in each hierarchy, in the order of /proc/PID/cgroup. Throws KernelError. */
export function readCgroups(pid: number | 'self' = 'self'): CgroupMembership[] {
  const path = `/proc/${pid}/cgroup`;
  return parseCgroups(withKernelErrors(path, () => readFileSync(path, 'utf8')));
}

/** Parses the text of /proc/PID/cgroup; throws LinuxError for a line it cannot read. */
export function parseCgroups(text: string): CgroupMembership[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    // A path may hold colons, controller lists cannot.
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (match === null)
      throw new LinuxError('bad-proc-file', `cannot read cgroup line ${JSON.stringify(line)}`);
    const [, id, list = '', path = '/'] = match;
    const words = list.split(',').filter((word) => word !== '');
    const name = words.find((word) => word.startsWith('name='))?.slice('name='.length);
    return {
      hierarchyId: Number(id),
      controllers: words.filter((word) => !word.startsWith('name=')),
      ...(name === undefined ? {} : { name }),
      path,
    };
  });
}

/** Makes the cgroup directory and those above it; existing ones are kept. */
export function createCgroup(directory: string): void {
  withKernelErrors(directory, () => mkdirSync(directory, { recursive: true, mode: 0o755 }));
}

/** Moves a process (0: this one) into the cgroup. */
export function joinCgroup(directory: string, pid = 0): void {
  const file = `${directory}/cgroup.procs`;
  withKernelErrors(file, () => writeFileSync(file, String(pid)));
}

/** The pids in the cgroup and, with `recursive`, below it; empty when it does not exist. */
export function cgroupPids(
  directory: string,
  { recursive = false }: { readonly recursive?: boolean } = {},
): number[] {
  const groups = recursive ? cgroupTree(directory) : [directory];
  return groups.flatMap((group) => {
    const text = ifPresent('', () => readFileSync(`${group}/cgroup.procs`, 'latin1'));
    // 0 stands for a process of a pid namespace that cannot be seen from here.
    return text
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0);
  });
}

/** The cgroup and all below it, deepest first; empty when it does not exist. */
export function cgroupTree(directory: string): string[] {
  const entries = ifPresent(undefined, () => readdirSync(directory, { withFileTypes: true }));
  if (entries === undefined) return [];
  const children = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${directory}/${name}`);
  return [...children.flatMap(cgroupTree), directory];
}

/** How long to keep trying. */
export interface CgroupWait {
  /** Milliseconds; the thread sleeps in between. */
  readonly timeoutMs?: number;
}

/**
 * Removes the cgroup and all below it, deepest first; what is gone already is fine. Processes that just died may keep
 * one busy for a moment, so it tries for `timeoutMs`. Throws LinuxError `cgroup-busy` after that.
 */
export function removeCgroup(directory: string, { timeoutMs = 1000 }: CgroupWait = {}): void {
  retry(timeoutMs, () => {
    for (const group of cgroupTree(directory)) {
      try {
        ifPresent(undefined, () => rmdirSync(group));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw asKernelError(error, group);
        return `cgroup ${group} is in use by ${describePids(cgroupPids(group))}`;
      }
    }
    return undefined;
  });
}

/**
 * Kills every process in the cgroup and below it and waits until none is left. Throws LinuxError `cgroup-busy` when
 * some survive `timeoutMs`. Never kills the calling process.
 */
export function killCgroup(directory: string, { timeoutMs = 5000 }: CgroupWait = {}): void {
  const freezer = `${directory}/freezer.state`;
  const frozen = existsSync(freezer);
  retry(timeoutMs, () => {
    const pids = cgroupPids(directory, { recursive: true }).filter((pid) => pid !== process.pid);
    if (pids.length === 0) return undefined;
    // Frozen processes cannot fork away from us; the kills take effect when they thaw.
    if (frozen) writeFileSync(freezer, 'FROZEN');
    for (const pid of killAtOnce(directory) ? [] : cgroupPids(directory, { recursive: true })) {
      if (pid !== process.pid) killPid(pid);
    }
    if (frozen) writeFileSync(freezer, 'THAWED');
    return `cgroup ${directory} still holds ${describePids(pids)}`;
  });
}

// cgroup.kill: version 2, kernel 5.14.
function killAtOnce(directory: string): boolean {
  const file = `${directory}/cgroup.kill`;
  if (!existsSync(file) || cgroupPids(directory, { recursive: true }).includes(process.pid)) return false;
  // Whoever manages the cgroup may have removed it meanwhile: all that was in it has ended then.
  ifPresent(undefined, () => writeFileSync(file, '1'));
  return true;
}

function killPid(pid: number): void {
  try {
    openKernel().kill(pid, SIGKILL);
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'ESRCH') throw error;
  }
}

function retry(timeoutMs: number, attempt: () => string | undefined): void {
  const end = performance.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const trouble = attempt();
    if (trouble === undefined) return;
    if (performance.now() >= end) throw new LinuxError('cgroup-busy', trouble);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
}

function describePids(pids: readonly number[]): string {
  if (pids.length === 0) return 'no visible process';
  return `process${pids.length === 1 ? '' : 'es'} ${pids.slice(0, 8).join(', ')}${pids.length > 8 ? ', ...' : ''}`;
}

function unifiedControllers(mountPoint: string): string[] {
  const text = ifPresent('', () => readFileSync(`${mountPoint}/cgroup.controllers`, 'latin1'));
  return text.split(/\s+/).filter((word) => word !== '');
}

// A cgroup may vanish between any two looks at it; its files then answer ENODEV.
function ifPresent<T>(absent: T, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return absent;
    throw error;
  }
}
