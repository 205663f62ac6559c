// Deletes what an app of a sandbox has in its pod, whether it was ever complete or not (contract stage1 8.4). Runs in
// stage0.

import { rmSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import type { Kernel } from '@rkt/linux/kernel';
import {
  appInfoDir,
  appTreeIdFile,
  isTreeId,
  overlayUpper,
  overlayWork,
  type PodDir,
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appDir, createdMark, envFile, startedMark, statusFile } from '@rkt/pod-layout/stage1-paths';

import { unmountBelow } from '../gc/unmount.ts';
import { readIfThere } from '../pod/record.ts';
import { unlinkImages } from '../prepare/image-links.ts';

/** Unmounts and deletes; what is not there does not matter. The pod's manifest is the caller's. */
export function deleteApp(kernel: Kernel, pod: PodDir, app: string, logger: Logger): void {
  const root = stage1Rootfs(pod);
  unmountBelow(kernel, appDir(root, app), logger);
  // Other apps of the same image have directories of their own beside these.
  const treeId = readIfThere(appTreeIdFile(pod, app))?.trim() ?? '';
  const overlay = isTreeId(treeId) ? [overlayUpper(pod, treeId, app), overlayWork(pod, treeId, app)] : [];
  const marks = [envFile, statusFile, startedMark, createdMark].map((file) => file(root, app));
  // The record of its tree last: whoever goes on after us finds the rest by it.
  for (const name of [...overlay, appDir(root, app), ...marks, appInfoDir(pod, app)]) {
    rmSync(name, { recursive: true, force: true });
  }
  unlinkImages(root, app);
}
