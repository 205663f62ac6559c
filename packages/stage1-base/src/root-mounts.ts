// Makes mounts in the root of an app that is a process of the host, in a mount namespace of the pod's own: they end with
// the pod's last process, and the host's table never shows them. Runs in the run entry point. Synchronous: after unshare
// the threads of the event loop stay behind in the host's namespace.
//
// Sources and targets are opened first and mounted by descriptor, so that nobody can put a symlink in their place
// between the check and the mount.

import { closeSync, constants, fchmodSync, fstatSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { makeReadOnly } from '@rkt/linux/bind-mount';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  CLONE_NEWNS,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_REC,
  MS_SLAVE,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import {
  openBeneath,
  openDirectoryInRoot,
  openInRoot,
  openRoot,
  procFdPath,
  resolveInRootFd,
} from '@rkt/linux/safe-path';

import { Stage1Error } from './errors.ts';

const NEW_DIRECTORY_MODE = 0o755;
const NEW_FILE_MODE = 0o700;

/** One mount. Targets are paths inside the app's root and may lead through symlinks. */
export type RootMount =
  | {
      /** A file system of its own. */
      readonly kind: NewFileSystem;
      readonly target: string;
    }
  | {
      readonly kind: 'bind';
      /** On the host, absolute; symlinks are followed. */
      readonly source: string;
      readonly target: string;
      readonly recursive: boolean;
      readonly readOnly: boolean;
    };

/** File systems that are not somewhere else already. */
type NewFileSystem = 'tmpfs' | 'sysfs';

/** With which flags and options; sysfs shows the devices of the network namespace that it is mounted in. */
const FILE_SYSTEMS: Readonly<Record<NewFileSystem, readonly [flags: number, options: string | null]>> = {
  tmpfs: [MS_NOSUID | MS_NODEV, 'mode=1777'],
  sysfs: [MS_NOSUID | MS_NODEV | MS_NOEXEC, null],
};

/** Content of /etc/hosts in an app that brings none (contract 3). */
const DEFAULT_HOSTS = '127.0.0.1 localhost localdomain\n';

/** Moves this process into a mount namespace of its own, which host mounts reach and which no mount leaves. */
export function enterOwnMountNamespace(kernel: Kernel): void {
  kernel.unshare(CLONE_NEWNS);
  kernel.mount(null, '/', null, MS_REC | MS_SLAVE, null);
}

/** Options of {@link mountAll}. */
export interface AppRootOptions {
  /** Nothing but the mounts can be written. */
  readonly readOnly: boolean;
  /** Give the app an /etc/hosts when it has none. */
  readonly defaultHosts: boolean;
}

/**
 * Makes `mounts` inside the root of the app at `rootfs`, in order; what is missing for a target is created.
 * @throws Stage1Error `mount-failed`, `bad-volume`; KernelError
 */
export function mountAll(
  kernel: Kernel,
  rootfs: string,
  mounts: readonly RootMount[],
  { readOnly, defaultHosts }: AppRootOptions,
): void {
  // Only a mount can be read-only: make the root one.
  if (readOnly) kernel.mount(rootfs, rootfs, null, MS_BIND, null);
  const rootFd = openRoot(rootfs);
  try {
    if (defaultHosts) writeDefaultHosts(rootFd);
    for (const mount of mounts) {
      if (mount.kind === 'bind') mountBind(kernel, rootFd, mount);
      else mountNew(kernel, rootFd, mount.kind, mount.target);
    }
    if (readOnly) protect(kernel, rootFd, false);
  } finally {
    closeSync(rootFd);
  }
}

function mountNew(kernel: Kernel, rootFd: number, type: NewFileSystem, target: string): void {
  const [flags, options] = FILE_SYSTEMS[type];
  withTarget(rootFd, target, true, type, (fd) => kernel.mount(type, procFdPath(fd), type, flags, options));
}

function mountBind(kernel: Kernel, rootFd: number, mount: Extract<RootMount, { kind: 'bind' }>): void {
  const { source, target, recursive, readOnly } = mount;
  let sourceFd: number;
  try {
    sourceFd = openSync(source, O_PATH);
  } catch (error) {
    throw new Stage1Error('bad-volume', `stat of host path ${source}: ${reason(error)}`);
  }
  try {
    withTarget(rootFd, target, fstatSync(sourceFd).isDirectory(), source, (fd) =>
      kernel.mount(procFdPath(sourceFd), procFdPath(fd), null, MS_BIND | (recursive ? MS_REC : 0), null),
    );
  } finally {
    closeSync(sourceFd);
  }
  if (readOnly) {
    // Opened again: the name leads to the new mount now.
    const fd = openInRoot(rootFd, target, O_PATH);
    try {
      protect(kernel, fd, recursive);
    } finally {
      closeSync(fd);
    }
  }
}

// By descriptor where the kernel can (5.12), else by name.
function protect(kernel: Kernel, fd: number, recursive: boolean): void {
  try {
    kernel.mountSetattr(fd, '', AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), { set: MOUNT_ATTR_RDONLY });
  } catch (error) {
    if (!hasCode(error, 'ENOSYS')) throw error;
    makeReadOnly(kernel, readlinkSync(procFdPath(fd)), recursive);
  }
}

function withTarget(
  rootFd: number,
  target: string,
  directory: boolean,
  source: string,
  use: (fd: number) => void,
): void {
  let fd: number;
  try {
    fd = openTarget(rootFd, target, directory);
  } catch (cause) {
    throw new Stage1Error('mount-failed', `unable to create mount target ${quote(target)}: ${reason(cause)}`);
  }
  try {
    refuseMismatch(fstatSync(fd).isDirectory(), directory, source, target);
    use(fd);
  } finally {
    closeSync(fd);
  }
}

function openTarget(rootFd: number, target: string, directory: boolean): number {
  try {
    return openInRoot(rootFd, target, O_PATH);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  if (directory) return openDirectoryInRoot(rootFd, target, NEW_DIRECTORY_MODE);
  const place = resolveInRootFd(rootFd, target);
  const parentFd = openDirectoryInRoot(rootFd, dirname(place), NEW_DIRECTORY_MODE);
  try {
    const name = basename(place);
    closeSync(openBeneath(parentFd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, NEW_FILE_MODE));
    return openBeneath(parentFd, name, O_PATH | O_NOFOLLOW);
  } finally {
    closeSync(parentFd);
  }
}

function refuseMismatch(
  targetIsDirectory: boolean,
  sourceIsDirectory: boolean,
  source: string,
  target: string,
): void {
  if (targetIsDirectory === sourceIsDirectory) return;
  const [first, second] = sourceIsDirectory ? ['a directory', 'not'] : ['not a directory', ''];
  throw new Stage1Error(
    'bad-volume',
    `can't mount because ${quote(source)} is ${first} while ${quote(target)} is ${second}`.trimEnd(),
  );
}

// Best effort: an app that cannot have the file does without (contract 3).
function writeDefaultHosts(rootFd: number): void {
  try {
    const fd = openInRoot(rootFd, '/etc/hosts', constants.O_WRONLY | O_CREAT | O_EXCL, 0o644);
    try {
      fchmodSync(fd, 0o644);
      writeFileSync(fd, DEFAULT_HOSTS);
    } finally {
      closeSync(fd);
    }
  } catch {
    // It exists, or the image has no directory /etc.
  }
}

function reason(error: unknown): string {
  if (hasCode(error, 'ENOENT')) return 'no such file or directory';
  if (hasCode(error, 'EACCES')) return 'permission denied';
  if (hasCode(error, 'ENOTDIR')) return 'not a directory';
  return error instanceof Error ? error.message : String(error);
}
