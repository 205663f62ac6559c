// Finds the processes of a running pod as the host sees them: its PID 1 and those of an app. Runs in the enter entry
// point, on the host.

import { readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { type CgroupHierarchy, type CgroupMembership, cgroupPids, readCgroups } from '@rkt/linux/cgroup';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { childrenOf, readPpid } from '@rkt/stage1-base/pids';

import { NspawnError } from './errors.ts';

/**
 * The pod's PID 1. `given` is what stage0 found, which can be a helper of nspawn when the pod is just starting.
 * @throws NspawnError `process-gone`
 */
export function findPodInit(pod: PodDir, given: number): number {
  const supervisor = readPpid(pod);
  const candidates = [given, ...(supervisor === undefined ? [] : childrenOf(supervisor))];
  const init = candidates.find(isInit);
  if (init !== undefined) return init;
  throw new NspawnError('process-gone', `process ${given} of the pod is not running anymore`);
}

// proc_pid_status(5): NSpid has the process's number in each nested namespace, outermost first.
function isInit(pid: number): boolean {
  try {
    const numbers =
      /^NSpid:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]?.split('\t') ?? [];
    return numbers.length > 1 && numbers.at(-1) === '1';
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}

/** How long a process that systemd has forked may take to become the app, and how often it is looked at. */
const START_MS = 10_000;
const LOOK_MS = 10;

/**
 * A process of the app, in the app's mount namespace: the oldest one. Waits for one that is being started.
 * @throws NspawnError `process-gone` when the app does not run
 */
export function findAppProcess(init: number, app: string, mounted: readonly CgroupHierarchy[]): number {
  const initMounts = mountNamespace(init);
  const initProgram = programOf(init);
  const directories = unitCgroups(readCgroups(init), `${app}.service`, mounted);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (const deadline = performance.now() + START_MS; ;) {
    const pids = directories.flatMap((directory) => cgroupPids(directory));
    // What systemd has forked is in the namespace of PID 1 at first, then in one whose root is not the app's yet, then
    // without the app's limits: until it executes something else.
    const own = pids.filter((pid) => {
      const mounts = mountNamespace(pid);
      return mounts !== undefined && mounts !== initMounts && programOf(pid) !== initProgram;
    });
    const [oldest] = own.sort((a, b) => startTime(a) - startTime(b));
    if (oldest !== undefined) return oldest;
    if (pids.length === 0 || performance.now() > deadline)
      throw new NspawnError('process-gone', `app ${quote(app)} is not running`);
    Atomics.wait(sleeper, 0, 0, LOOK_MS);
  }
}

/** The directories that may be a unit's cgroup, given where PID 1 of the pod is. */
export function unitCgroups(
  init: readonly CgroupMembership[],
  unit: string,
  mounted: readonly CgroupHierarchy[],
): string[] {
  return init.flatMap(({ hierarchyId, name, path: cgroup }) => {
    if (path.basename(cgroup) !== 'init.scope') return [];
    const hierarchy = mounted.find((each) => (hierarchyId === 0 ? each.version === 2 : each.name === name));
    if (hierarchy === undefined) return [];
    const slice = path.join(hierarchy.mountPoint, path.dirname(cgroup), 'system.slice');
    // systemd puts an underscore before names that look like a file of the kernel's, e.g. `memory.service`.
    return [path.join(slice, unit), path.join(slice, `_${unit}`)];
  });
}

function mountNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

// The file that a process executes; undefined for one that has ended.
function programOf(pid: number): string | undefined {
  try {
    const { dev, ino } = statSync(`/proc/${pid}/exe`, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

// Field 22 of proc_pid_stat(5), in clock ticks since boot; the name before it may hold anything.
function startTime(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return Number.MAX_SAFE_INTEGER;
    throw error;
  }
}
