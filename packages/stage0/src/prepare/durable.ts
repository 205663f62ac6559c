// What is called prepared must still be whole after a power failure (contract stage0 8.1). Copies of trees need not be
// on the disk for that: as long as the pod names the trees, which are, its copies can be made again
// (docs/decisions/0059-copies-after-a-power-failure.md). Runs in stage0.

import { closeSync, existsSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import type { Logger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import { type DataDir, treeDir, treeRenderedMark, treeRootfs } from '@rkt/pod-layout/data-dir';
import { hostFiles } from '@rkt/pod-layout/entrypoints';
import {
  appTreeIdFile,
  copiedInBootFile,
  POD_FILE_MODE,
  type PodDir,
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appRootfs } from '@rkt/pod-layout/stage1-paths';

import { removeTree } from '../gc/remove-tree.ts';
import { appTreeId, podUsers } from '../launch/pod-mounts.ts';
import { PodError } from '../pod/errors.ts';
import { type LockedPod, syncPath } from '../pod/pod.ts';
import { readAppImageManifestText, readIfThere, stage1TreeId, usesOverlay } from '../pod/record.ts';
import { readStage1Annotations, summarizeManifest } from '../pod/summary.ts';
import { makeAppDir, shiftOf } from './app-image.ts';
import { linkImages } from './image-links.ts';

/**
 * Brings a pod that is prepared to the disk, but for copies of trees: of these it notes the boot they were made in.
 * @throws node's errors, KernelError
 */
export function makeDurable(pod: PodDir): void {
  const boot = bootId();
  if (boot === undefined || !canBeCopiedAgain(pod)) return syncFileSystem(pod);
  writeFileSync(copiedInBootFile(pod), boot, { mode: POD_FILE_MODE });
  syncAllBut(stage1Rootfs(pod), pod);
}

/**
 * Makes the copies of a prepared pod again if they were made in an earlier boot: the disk may not have got them. One that
 * is interrupted is made again by the next.
 * @throws PodError `gone` when a tree is not there any more; UnpackError, KernelError
 */
export async function restoreCopies({ data, dir }: LockedPod, logger: Logger): Promise<void> {
  const madeIn = readIfThere(copiedInBootFile(dir));
  if (madeIn === undefined || madeIn === bootId()) return;
  logger.info('the pod was prepared before this machine started, copying its images again');
  const apps = summarizeManifest(dir).apps.map(({ name, imageId }) => ({ name, key: imageId }));
  const stage1 = findTree(data, stage1TreeId(dir));
  const trees = apps.map(({ name }) => ({ name, tree: findTree(data, appTreeId(dir, name)) }));
  const root = stage1Rootfs(dir);
  removeTree(openKernel(), root);
  const users = podUsers(dir);
  const linked = new Set(hostFiles(readStage1Annotations(dir)));
  const { copyRoot, writeManifest } = await import('../treestore/tree-root.ts');
  await copyRoot(stage1, root, { ...shiftOf(users), linked }, logger);
  for (const { name, tree } of trees) {
    writeManifest(readAppImageManifestText(dir, name), makeAppDir(root, name, users));
    await copyRoot(tree, appRootfs(root, name), shiftOf(users), logger);
  }
  linkImages(root, apps);
}

// Trees that the pod keeps from image gc.
function canBeCopiedAgain(pod: PodDir): boolean {
  if (usesOverlay(pod)) return false;
  return summarizeManifest(pod).apps.every(({ name }) => existsSync(appTreeIdFile(pod, name)));
}

function findTree(data: DataDir, id: string): string {
  const tree = treeDir(data, id);
  if (!existsSync(treeRenderedMark(tree))) {
    throw new PodError('gone', `there is no tree ${id} any more`, { hint: 'prepare the pod again' });
  }
  return treeRootfs(tree);
}

function syncFileSystem(pod: PodDir): void {
  const fd = openSync(pod, 'r');
  try {
    openKernel().syncFs(fd);
  } finally {
    closeSync(fd);
  }
}

function syncAllBut(copies: string, directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const name = path.join(directory, entry.name);
    if (entry.isDirectory() && name !== copies) syncAllBut(copies, name);
    if (entry.isFile()) syncPath(name);
  }
  syncPath(directory);
}

// Changes with each start of the kernel (random(4)).
function bootId(): string | undefined {
  return readIfThere('/proc/sys/kernel/random/boot_id')?.trim();
}
