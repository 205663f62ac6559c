// What the appc standard promises an app beside its image: devices, /proc, /sys, names, journal sockets (contract 2.11).
// Directories and files to mount over are made here, on the host, by names that are resolved inside the app's root; the
// mounts are made by systemd, in the mount namespace of the app.

import type { Kernel } from '@rkt/linux/kernel';
import { S_IFCHR, S_IFMT } from '@rkt/linux/constants';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { HOSTS, HOSTS_FALLBACK, onHost, RESOLV_CONF } from '@rkt/pod-layout/stage1-paths';
import type { BindIntoPod } from '@rkt/stage1-base/mounts';
import type { LoadedApp } from '@rkt/stage1-base/pod';
import { type Owner, RootWriter } from '@rkt/stage1-base/write-in-root';
import { existsSync } from 'node:fs';

/** A bind mount from stage1 into an app's root. */
export interface InnerBind {
  /** In stage1. */
  readonly source: string;
  /** In the app. */
  readonly target: string;
  readonly recursive: boolean;
  readonly readOnly: boolean;
  /** The source may be missing: then there is no mount. */
  readonly optional: boolean;
}

const DIRECTORIES: readonly (readonly [name: string, mode: number])[] = [
  ['/dev', 0o755],
  ['/dev/net', 0o755],
  ['/dev/shm', 0o755],
  ['/etc', 0o755],
  ['/proc', 0o755],
  ['/sys', 0o755],
  ['/tmp', 0o1777],
  ['/dev/pts', 0o755],
  ['/run', 0o755],
  ['/run/systemd', 0o755],
  ['/run/systemd/journal', 0o755],
];

const DEVICES: readonly string[] = [
  '/dev/null',
  '/dev/zero',
  '/dev/full',
  '/dev/random',
  '/dev/urandom',
  '/dev/tty',
  '/dev/net/tun',
  '/dev/console',
];

const JOURNAL_SOCKETS = '/run/systemd/journal';
const LIVE_HOSTNAME = '/proc/sys/kernel/hostname';
const FILE_MODE = 0o644;

/** How an app's root is to be prepared. */
export interface AppRootOptions {
  /** Owner of what is made: the shifted root of a pod with user namespaces. */
  readonly owner?: Owner;
  /** Take along what is mounted below /sys: right where that is one cgroup tree, wrong where it is a dozen. */
  readonly wholeSys: boolean;
}

/**
 * Makes what is missing in the root of `app` and returns what is to be mounted there.
 * @throws KernelError, naming the path
 */
export function prepareAppRoot(
  kernel: Kernel,
  stage1: Stage1Root,
  app: LoadedApp,
  volumes: readonly BindIntoPod[],
  { owner, wholeSys }: AppRootOptions,
): InnerBind[] {
  using root = new RootWriter(kernel, app.rootfs, owner);
  // Images bring links to places that do not exist here.
  root.removeUnlessDirectory('/dev/shm');
  for (const [name, mode] of DIRECTORIES) root.directory(name, mode);
  for (const device of DEVICES) if (!root.isDirectory(device)) root.file(device, FILE_MODE);
  linkTerminalMultiplexer(root);
  root.link('/run/systemd/journal/dev-log', '/dev/log');
  return [
    ...DEVICES.map((device) => bind(device, device, { optional: true })),
    bind('/proc', '/proc', { recursive: true }),
    bind('/dev/shm', '/dev/shm'),
    bind('/dev/pts', '/dev/pts'),
    bind(JOURNAL_SOCKETS, JOURNAL_SOCKETS, { readOnly: true }),
    ...(isCovered('/sys', volumes) ? [] : [bind('/sys', '/sys', { recursive: wholeSys })]),
    ...nameFiles(root, stage1, volumes),
  ];
}

// Files that are only shown when stage1 has them.
function nameFiles(root: RootWriter, stage1: Stage1Root, volumes: readonly BindIntoPod[]): InnerBind[] {
  const show = (source: string, target: string, readOnly = false): InnerBind =>
    bind(source, root.file(target, FILE_MODE), { readOnly });
  const has = (source: string): boolean => existsSync(onHost(stage1, source));
  const files: InnerBind[] = [];
  const hasHosts = root.exists('/etc/hosts') || isCovered('/etc/hosts', volumes);
  if (has(RESOLV_CONF)) files.push(show(RESOLV_CONF, '/etc/resolv.conf'));
  if (has(HOSTS)) files.push(show(HOSTS, '/etc/hosts'));
  else if (!hasHosts && has(HOSTS_FALLBACK)) files.push(show(HOSTS_FALLBACK, '/etc/hosts'));
  files.push(show(LIVE_HOSTNAME, '/etc/hostname'));
  return files;
}

// The device that opens terminals of the pod's own devpts. An image's node does, too.
function linkTerminalMultiplexer(root: RootWriter): void {
  const status = root.status('/dev/ptmx');
  const usable =
    status !== undefined &&
    (status.mode & S_IFMT) === S_IFCHR &&
    (status.mode & 0o666) === 0o666 &&
    status.rdevMajor === 5 &&
    status.rdevMinor === 2;
  if (usable) return;
  root.removeUnlessDirectory('/dev/ptmx');
  root.link('/dev/pts/ptmx', '/dev/ptmx');
}

function isCovered(path: string, volumes: readonly BindIntoPod[]): boolean {
  return volumes.some(({ inApp }) => inApp === path || inApp.startsWith(`${path}/`));
}

function bind(
  source: string,
  target: string,
  { recursive = false, readOnly = false, optional = false }: Partial<InnerBind> = {},
): InnerBind {
  return { source, target, recursive, readOnly, optional };
}
