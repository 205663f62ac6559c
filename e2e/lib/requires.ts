// What suites need of the machine, and the one place that skips them with a reason. Runs in the mocha process.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { release, tmpdir } from 'node:os';

import { hasBusybox } from '@rkt/testkit/busybox';
import { debianImageReason } from '@rkt/testkit/debian-image';

import { hasExecutable, RKT_BIN } from './environment.ts';

/** Something a suite may need. `program:NAME` is a program on PATH, `link:TYPE` a kind of device that the kernel makes. */
export type Requirement =
  | 'rkt'
  | 'root'
  | 'overlayfs'
  | 'busybox'
  | 'debian'
  | 'userns'
  | 'mapped-layers'
  | 'cgroup-v1'
  | 'kvm'
  | 'systemd-host'
  | 'selinux'
  | 'ip_tables'
  | 'loop'
  | `systemd>=${number}`
  | `link:${string}`
  | `program:${string}`;

/** Skips the running hook's suite, or the running test, unless all of it is there. */
export function requires(context: Mocha.Context, ...needs: readonly Requirement[]): void {
  for (const need of needs) {
    const reason = missing(need);
    if (reason === undefined) continue;
    skip(context, reason);
  }
}

/** Skips with a reason that shows in the report. */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable = context.currentTest ?? context.test;
  // A hook skips all tests of its suite, so the reason belongs to the suite's title.
  const titled = runnable?.title.startsWith('"') ? runnable.parent : runnable;
  if (titled !== undefined && !titled.title.includes(reason)) titled.title += ` [${reason}]`;
  context.skip();
}

const found = new Map<Requirement, string | undefined>();

function missing(need: Requirement): string | undefined {
  if (!found.has(need)) found.set(need, look(need));
  return found.get(need);
}

// f_type of ext4, xfs and btrfs (statfs(2)): they map owners since Linux 5.12 and 5.15.
const MAPPING_FILE_SYSTEMS: readonly number[] = [0xef53, 0x58465342, 0x9123683e];

function mapsLayers(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return (
    (major > 5 || (major === 5 && minor >= 19)) && MAPPING_FILE_SYSTEMS.includes(statfsSync(tmpdir()).type)
  );
}

function look(need: Requirement): string | undefined {
  switch (need) {
    case 'rkt':
      return hasExecutable() ? undefined : `needs the executable ${RKT_BIN}`;
    case 'root':
      return process.getuid?.() === 0 ? undefined : 'needs root';
    case 'overlayfs':
      return /\toverlay$/m.test(text('/proc/filesystems')) ? undefined : 'needs overlayfs';
    case 'busybox':
      return hasBusybox() ? undefined : 'needs busybox-static';
    case 'debian':
      return debianImageReason();
    case 'userns':
      return existsSync('/proc/self/uid_map') ? undefined : 'needs user namespaces';
    case 'mapped-layers':
      return mapsLayers()
        ? undefined
        : 'needs Linux 5.19, whose overlayfs takes layers with mapped owners, and ext4, xfs or btrfs';
    case 'cgroup-v1':
      return existsSync('/sys/fs/cgroup/memory/cgroup.procs') ? undefined : 'needs cgroup v1';
    case 'kvm':
      return isWritable('/dev/kvm') ? undefined : 'needs /dev/kvm';
    case 'systemd-host':
      return existsSync('/run/systemd/system') ? undefined : 'needs a machine with systemd as PID 1';
    case 'selinux':
      return existsSync('/sys/fs/selinux/enforce') ? undefined : 'needs a machine with SELinux';
    case 'loop':
      return existsSync('/dev/loop-control') ? undefined : 'needs loop devices';
    case 'ip_tables':
      return spawnSync('unshare', ['--net', 'iptables-legacy', '-t', 'nat', '-S']).status === 0
        ? undefined
        : 'needs a kernel with ip_tables and its program iptables-legacy';
    default:
      if (need.startsWith('link:')) return lookLink(need.slice('link:'.length));
      return need.startsWith('program:') ? lookProgram(need.slice('program:'.length)) : lookSystemd(need);
  }
}

function lookProgram(name: string): string | undefined {
  const { status } = spawnSync('sh', ['-c', 'command -v -- "$1" > /dev/null', 'sh', name]);
  return status === 0 ? undefined : `needs the program ${name}`;
}

// In a network namespace that ends with the command.
function lookLink(type: string): string | undefined {
  const script = `ip link add rkt0 type veth peer name rkt1 && ip link add rkt2 link rkt0 type ${type}`;
  const { status } = spawnSync('unshare', ['--net', 'sh', '-c', script]);
  return status === 0 ? undefined : `needs a kernel with devices of type ${type}`;
}

function lookSystemd(need: string): string | undefined {
  const { stdout } = spawnSync('systemctl', ['--version'], { encoding: 'utf8' });
  const version = Number(/^systemd (\d+)/.exec(stdout ?? '')?.[1] ?? 0);
  return version >= Number(need.slice('systemd>='.length)) ? undefined : `needs ${need}`;
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
