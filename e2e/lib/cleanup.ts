// A mount namespace for each suite, and proof that nothing is left behind. Runs in the mocha process.

import { openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { CLONE_FS, CLONE_NEWNS, MS_REC, MS_PRIVATE } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';

let outside: number | undefined;

/**
 * Moves this process, and with it every program it starts, into a fresh mount namespace that starts with what the
 * host has mounted and shares no later mount with it. Later calls start from the host's namespace again.
 */
export function isolateMounts(): void {
  const kernel = openKernel();
  if (outside === undefined) {
    // Descriptors a careless parent left open would reach every rkt and every app.
    kernel.setCloseOnExecFrom(3);
    outside = openSync('/proc/self/ns/mnt', 'r');
    kernel.unshare(CLONE_FS);
  } else kernel.setns(outside, CLONE_NEWNS);
  kernel.unshare(CLONE_NEWNS);
  kernel.mount(null, '/', null, MS_REC | MS_PRIVATE, null);
}

/** Moves this process back to where {@link isolateMounts} found it, for pods that the machine's systemd starts. */
export function leaveIsolatedMounts(): void {
  if (outside !== undefined) openKernel().setns(outside, CLONE_NEWNS);
}

/** Mount points of this process's mount namespace. */
export function mountPoints(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? []);
}

/** Entries of a directory, none if it is missing. */
export function list(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}

/** Processes whose root, working directory, program or arguments lie below `path`. */
export function processesBelow(path: string): { pid: number; command: string }[] {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const links = ['root', 'cwd', 'exe'].map((link) => target(`/proc/${name}/${link}`));
      const command = text(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
      const below =
        links.some((link) => link === path || link.startsWith(`${path}/`)) || command.includes(path);
      return below ? [{ pid: Number(name), command }] : [];
    });
}

/** Control groups of the pods with these UUIDs; names hold the UUID with its dashes as they are or escaped. */
export function cgroupsOf(uuids: readonly string[]): string[] {
  const groups = listDirectories('/sys/fs/cgroup');
  return uuids.flatMap((uuid) => groups.filter((path) => path.includes(uuid.slice(0, 8))));
}

function listDirectories(root: string): string[] {
  let entries;
  try {
    entries = readdirSync(root, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [`${root}/${name}`, ...listDirectories(`${root}/${name}`)]);
}

function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** What the file at `path` says; empty for one that is not there, as those of a process that has ended. */
export function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
