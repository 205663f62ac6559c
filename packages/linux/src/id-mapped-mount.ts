// Mounts of a directory in which every file belongs to somebody else than on disk (mount_setattr(2), MOUNT_ATTR_IDMAP).
// Runs in stage0, on the host.

import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWUSER,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  SIGKILL,
} from './constants.ts';
import { KernelError, withKernelErrors } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './libc.ts';

/** Ids 0 to `count` - 1 become those from `shift` on, of users and of groups. */
export interface IdShift {
  readonly shift: number;
  readonly count: number;
}

// Far more than the few milliseconds it is needed for, should we be killed meanwhile.
const SLEEPER_SECONDS = 5;

/**
 * A descriptor of a user namespace with this mapping. No process is in it. @throws KernelError
 */
export function openUserNamespace(kernel: Kernel, { shift, count }: IdShift): number {
  const pid = kernel.cloneSleeper(CLONE_NEWUSER, SLEEPER_SECONDS);
  try {
    const mapping = `0 ${shift} ${count}\n`;
    for (const file of [`/proc/${pid}/uid_map`, `/proc/${pid}/gid_map`]) {
      withKernelErrors(file, () => writeFileSync(file, mapping));
    }
    const file = `/proc/${pid}/ns/user`;
    return withKernelErrors(file, () => openSync(file, 'r'));
  } finally {
    kernel.kill(pid, SIGKILL);
    kernel.waitPid(pid);
  }
}

/** Mounts `source` at the directory `target`, read-only, its files owned as `ids` says. @throws KernelError */
export function mountIdMapped(kernel: Kernel, source: string, target: string, ids: IdShift): void {
  const mount = cloneIdMapped(kernel, source, ids);
  try {
    kernel.moveMount(mount, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  } finally {
    closeSync(mount);
  }
}

// A mount that is nowhere yet.
function cloneIdMapped(kernel: Kernel, source: string, ids: IdShift): number {
  const mount = kernel.openTree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  try {
    const namespace = openUserNamespace(kernel, ids);
    try {
      kernel.mountSetattr(mount, '', AT_EMPTY_PATH, {
        set: MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY,
        userNamespaceFd: namespace,
      });
    } finally {
      closeSync(namespace);
    }
    return mount;
  } catch (error) {
    closeSync(mount);
    throw error;
  }
}

/** The first kernel whose overlayfs takes layers whose owners are mapped. */
const OVERLAY_SINCE = [5, 19] as const;

/**
 * Whether overlays can have layers below `directory` with mapped owners: overlayfs of this kernel takes them, and the
 * file system of `directory` can map, which is tried. Answers why not.
 */
export function idMappedLayerSupport(
  directory: string,
  kernel: Kernel = openKernel(),
  release: string = readFileSync('/proc/sys/kernel/osrelease', 'utf8'),
): { readonly supported: true } | { readonly supported: false; readonly reason: string } {
  const [major = 0, minor = 0] = release.split('.', 2).map(Number);
  const [sinceMajor, sinceMinor] = OVERLAY_SINCE;
  if (major < sinceMajor || (major === sinceMajor && minor < sinceMinor)) {
    return { supported: false, reason: `overlay of Linux ${release.trim()} takes no mapped layers` };
  }
  try {
    closeSync(cloneIdMapped(kernel, directory, PROBE));
    return { supported: true };
  } catch (error) {
    if (!(error instanceof KernelError) || !UNSUPPORTED.some((code) => hasCode(error, code))) throw error;
    return { supported: false, reason: `owners cannot be mapped: ${error.message}` };
  }
}

const PROBE: IdShift = { shift: 0x10000, count: 0x10000 };
// What a kernel, a file system or a host that keeps namespaces to itself answers.
const UNSUPPORTED: readonly string[] = ['EINVAL', 'ENOSYS', 'EPERM', 'ENOSPC', 'EOPNOTSUPP', 'EACCES'];
