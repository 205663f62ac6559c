// Whether the host's systemd and machined look after the pod, or we do (contract 2.12, 2.13). Asks files only: neither
// D-Bus nor libsystemd. Runs in the run entry point.

import { existsSync, readFileSync } from 'node:fs';

import type { CgroupMembership } from '@rkt/linux/cgroup';

/** Who manages the pod's cgroup. */
export interface HostManager {
  /** PID 1 of the host is systemd. */
  readonly systemd: boolean;
  /** machined can be asked to register the pod. */
  readonly machined: boolean;
  /** rkt was started by a system service: the pod stays in the cgroup of that unit. */
  readonly service: boolean;
}

/** Where the facts are looked for; replaced in tests. */
export interface ManagerFacts {
  readonly exists: (file: string) => boolean;
  readonly cgroups: readonly CgroupMembership[];
  /** Session leader, as the main process of a service is. */
  readonly sessionLeader: boolean;
}

const SYSTEMD = '/run/systemd/system';
const BUS = '/run/dbus/system_bus_socket';
/** Lets the bus start machined when it is asked for. */
const MACHINED = '/usr/share/dbus-1/system-services/org.freedesktop.machine1.service';

/** Finds out who manages the pod. */
export function hostManager({ exists, cgroups, sessionLeader }: ManagerFacts): HostManager {
  const systemd = exists(SYSTEMD);
  return {
    systemd,
    machined: systemd && exists(BUS) && exists(MACHINED),
    service: systemd && sessionLeader && inSystemService(cgroups),
  };
}

// A unit of the system manager: not below a user's slice, where sd_pid_get_owner_uid(3) finds an owner.
function inSystemService(cgroups: readonly CgroupMembership[]): boolean {
  const own =
    cgroups.find(({ name }) => name === 'systemd') ?? cgroups.find(({ hierarchyId }) => hierarchyId === 0);
  const path = own?.path ?? '/';
  return /\.service(\/|$)/.test(path) && !path.startsWith('/user.slice/');
}

/** The facts of this process. */
export function managerFacts(pid: number, cgroups: readonly CgroupMembership[]): ManagerFacts {
  return { exists: existsSync, cgroups, sessionLeader: isSessionLeader(pid) };
}

// Field 6 of proc_pid_stat(5); the name before it may hold anything.
function isSessionLeader(pid: number): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]) === pid;
}
