// Deletes what an app of a sandbox has in its pod, whether it was ever complete or not (contract stage1 8.4). Runs in
// stage0.

import { readdirSync, rmSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { mountsBelow, readMountInfo } from '@rkt/linux/mount-info';
import {
  appInfoDir,
  overlayDir,
  overlayUpper,
  overlayWork,
  type PodDir,
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appDir, createdMark, envFile, startedMark, statusFile } from '@rkt/pod-layout/stage1-paths';

/** Unmounts and deletes; what is not there does not matter. The pod's manifest is the caller's. */
export function deleteApp(kernel: Kernel, pod: PodDir, app: string): void {
  const root = stage1Rootfs(pod);
  unmountBelow(kernel, appDir(root, app));
  // Other apps of the same image have directories of their own beside these.
  for (const treeId of namesIn(overlayDir(pod))) {
    for (const directory of [overlayUpper(pod, treeId, app), overlayWork(pod, treeId, app)])
      remove(directory);
  }
  remove(appDir(root, app));
  for (const file of [
    envFile(root, app),
    statusFile(root, app),
    startedMark(root, app),
    createdMark(root, app),
  ]) {
    rmSync(file, { force: true });
  }
  remove(appInfoDir(pod, app));
}

function unmountBelow(kernel: Kernel, directory: string): void {
  for (const { mountPoint } of mountsBelow(readMountInfo(), directory)) {
    try {
      kernel.umount2(mountPoint, UMOUNT_NOFOLLOW | MNT_DETACH);
    } catch (error) {
      if (!hasCode(error, 'EINVAL') && !hasCode(error, 'ENOENT')) throw error;
    }
  }
}

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
