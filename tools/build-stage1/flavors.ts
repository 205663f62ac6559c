// What each stage1 image holds, beyond our own executable. Runs at build time.
import path from 'node:path';
import { addProgram, type PackageFiles, type UsedPackages } from './closure.ts';
import type { ImageTree } from './image-tree.ts';
import type { Pins } from './debs.ts';
import { addGuest } from './guest.ts';
import { addNetworkPrograms } from './network-programs.ts';

export const FLAVORS = ['nspawn', 'fly', 'kvm'] as const;
/** A name NAME with a package stage1-NAME: one of ours, or of an author who started from the example. */
export type Flavor = string;

/** Whose pods systemd runs; the images of all others are our executable and what it links. */
export const WITH_SYSTEMD: readonly Flavor[] = ['nspawn', 'kvm'];

/** Packages whose files the images start from; `npm run pins` adds those that their libraries come from. */
export const ROOT_PACKAGES: readonly string[] = [
  'systemd',
  'systemd-container',
  'mount',
  'dash',
  'coreutils',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
  'libatomic1',
  'containernetworking-plugins',
  'iptables',
  'nftables',
  'busybox-static',
];

/**
 * Programs that run in a pod with systemd: systemd as PID 1, systemd-shutdown in its place at the end, journald for the
 * apps' output, systemctl and journalctl for units and people, mount and umount for the mounts of apps, and the shell
 * with four tools for units. The nspawn image has two more: systemd-nspawn runs on the host, systemd-notify in the pod.
 */
const POD_PROGRAMS: readonly string[] = [
  'usr/lib/systemd/systemd',
  'usr/lib/systemd/systemd-shutdown',
  'usr/lib/systemd/systemd-journald',
  'usr/bin/systemctl',
  'usr/bin/journalctl',
  'usr/bin/mount',
  'usr/bin/umount',
  'usr/bin/dash',
  'usr/bin/ln',
  'usr/bin/cat',
  'usr/bin/mkdir',
  'usr/bin/rm',
];
const NSPAWN_PROGRAMS: readonly string[] = ['usr/bin/systemd-notify', 'usr/bin/systemd-nspawn'];

/** systemd and nspawn refuse or complain about a root without these. */
function addSystemFiles(tree: ImageTree): void {
  for (const name of [
    'dev',
    'proc',
    'sys',
    'run',
    'root',
    'var/tmp',
    'var/log/journal',
    'usr/lib/systemd/system',
  ]) {
    tree.directory(name, name === 'root' ? 0o700 : 0o755);
  }
  tree.directory('tmp', 0o1777);
  tree.directory('var/tmp', 0o1777);
  tree.symlink('var/run', '../run');
  tree.file('etc/os-release', 'NAME=rkt\nID=rkt\nPRETTY_NAME=rkt\n');
  tree.file('etc/machine-id', '');
  tree.file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
  tree.file('etc/group', 'root:x:0:\nnogroup:x:65534:\n');
  tree.file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n');
}

/** What every image has (contract stage1 2.1), and the layout with /bin and /lib in /usr. */
function addLayout(tree: ImageTree, flavor: Flavor): void {
  for (const name of [
    'etc',
    'opt/stage2',
    'rkt/status',
    'rkt/env',
    'rkt/iottymux',
    'usr/bin',
    'usr/lib',
    'usr/lib64',
  ]) {
    tree.directory(name);
  }
  for (const name of ['bin', 'lib', 'lib64']) tree.symlink(name, `usr/${name}`);
  tree.symlink('sbin', 'usr/bin');
  tree.symlink('usr/sbin', 'bin');
  tree.symlink('etc/mtab', '../proc/self/mounts');
  tree.symlink('flavor', flavor);
  tree.symlink('usr/lib64/ld-linux-x86-64.so.2', '../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2');
}

/** Fills `tree` with the files of a flavour that come from packages. */
export function addFlavor(
  tree: ImageTree,
  flavor: Flavor,
  files: PackageFiles,
  pins: Pins,
  used: UsedPackages,
): void {
  addLayout(tree, flavor);
  if (!WITH_SYSTEMD.includes(flavor)) return;
  addSystemFiles(tree);
  for (const name of POD_PROGRAMS) addProgram(tree, name, files, used);
  if (flavor === 'nspawn') for (const name of NSPAWN_PROGRAMS) addProgram(tree, name, files, used);
  else addGuest(tree, pins, files, used);
  addNetworkPrograms(tree, files, used);
  tree.symlink('usr/bin/sh', 'dash');
  tree.symlink('usr/bin/init', path.posix.join('..', 'lib/systemd/systemd'));
  const version = /^\d+/.exec(pins['systemd']?.version ?? '')?.[0];
  if (version === undefined) throw new Error('debs.json: no version of systemd');
  tree.file('systemd-version', `v${version}\n`);
}
