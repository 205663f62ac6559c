// Brings the root and the volumes of an app into a pod that runs. What is to be seen there is cloned on the host, where
// its names mean something, and attached in the pod: nobody ever sees a read-only volume that can be written. Runs in
// the entry points app/add and app/rm, on the host, then in the pod.

import { closeSync, fstatSync, openSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLONE,
  OPEN_TREE_CLOEXEC,
  UMOUNT_NOFOLLOW,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { mountsBelow, readMountInfo } from '@rkt/linux/mount-info';
import { openInRoot, openRoot } from '@rkt/linux/safe-path';
import type { BindIntoPod } from '@rkt/stage1-base/mounts';
import { RootWriter } from '@rkt/stage1-base/write-in-root';
import type { LoadedApp } from '@rkt/stage1-base/pod';

/** Mounts that are not attached anywhere yet. */
export interface DetachedMounts {
  /** The app's root; absent when its files are in stage1's own. */
  readonly root?: number;
  readonly volumes: readonly { readonly fd: number; readonly inApp: string }[];
}

const VOLUME_FILE_MODE = 0o644;
const VOLUME_DIRECTORY_MODE = 0o755;

/** Clones the app's root and the sources of its volumes, and makes what they are mounted on. Called on the host. */
export function detachMounts(kernel: Kernel, app: LoadedApp, binds: readonly BindIntoPod[]): DetachedMounts {
  const { rootfs } = app;
  const clone = (source: string, recursive: boolean): number => {
    const tree = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
    const fd = kernel.openTree(AT_FDCWD, source, tree);
    kernel.mountSetattr(fd, '', AT_EMPTY_PATH | AT_RECURSIVE, { propagation: MS_PRIVATE });
    return fd;
  };
  const isMounted = mountsBelow(readMountInfo(), rootfs).some(({ mountPoint }) => mountPoint === rootfs);
  const volumes = binds.map(({ source, inApp, readOnly, recursive }) => {
    const fd = clone(source, recursive);
    if (readOnly) {
      kernel.mountSetattr(fd, '', AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), { set: MOUNT_ATTR_RDONLY });
    }
    using root = new RootWriter(rootfs);
    if (fstatSync(fd).isDirectory()) root.directory(inApp, VOLUME_DIRECTORY_MODE);
    else root.file(inApp, VOLUME_FILE_MODE);
    return { fd, inApp };
  });
  return { ...(isMounted ? { root: clone(rootfs, false) } : {}), volumes };
}

/**
 * Attaches them at the app's root in stage1, in place of all that is mounted there: what an add that was killed has left,
 * or what the host's mounts have brought where they reach the pod. Called in the pod.
 */
export function attachMounts(kernel: Kernel, rootInStage1: string, { root, volumes }: DetachedMounts): void {
  detachFromPod(kernel, rootInStage1);
  if (root !== undefined) attach(kernel, root, openSync(rootInStage1, O_PATH | O_DIRECTORY));
  for (const { fd, inApp } of volumes) {
    const rootFd = openRoot(rootInStage1);
    const at = openInRoot(rootFd, inApp, O_PATH);
    closeSync(rootFd);
    attach(kernel, fd, at);
  }
}

function attach(kernel: Kernel, fd: number, at: number): void {
  kernel.moveMount(fd, '', at, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  closeSync(fd);
  closeSync(at);
}

/** Detaches all that is mounted at or below the app's root. Called in the pod, whose /proc knows its PID 1 but not us. */
export function detachFromPod(kernel: Kernel, rootInStage1: string): void {
  for (const { mountPoint } of mountsBelow(readMountInfo(1), rootInStage1)) {
    try {
      kernel.umount2(mountPoint, MNT_DETACH | UMOUNT_NOFOLLOW);
    } catch (error) {
      if (!hasCode(error, 'EINVAL') && !hasCode(error, 'ENOENT')) throw error;
    }
  }
}
