// The overlay mounts of a pod: stage1's root, and each app's root inside it (contract stage0 8.9). Runs in stage0.

import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs';

import type { Kernel } from '@rkt/linux/kernel';
import { MNT_DETACH } from '@rkt/linux/constants';
import { mountIdMapped } from '@rkt/linux/id-mapped-mount';
import { mountOverlay, type OverlayMount } from '@rkt/linux/overlay';
import { type DataDir, treeDir, treeRootfs } from '@rkt/pod-layout/data-dir';
import { parseUidRange, type UidRange } from '@rkt/pod-layout/files';
import {
  appImageManifestFile,
  appTreeIdFile,
  isTreeId,
  overlayDir,
  overlayLower,
  overlayTreeDir,
  overlayUpper,
  overlayWork,
  POD_DIR_MODE,
  type PodDir,
  privateUsersFile,
  type Stage1Root,
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appManifest, appRootfs, statusDir } from '@rkt/pod-layout/stage1-paths';

import { PodError } from '../pod/errors.ts';
import { readIfThere, stage1TreeId } from '../pod/record.ts';
import { makeAppDir } from '../prepare/app-image.ts';
import { labelFiles, mountLabel } from './selinux.ts';

/** What mounting needs besides the pod itself. */
export interface MountContext {
  readonly kernel: Kernel;
  readonly data: DataDir;
  /** Group `rkt`, which may read pods; -1 leaves groups alone. */
  readonly groupId: number;
}

/** Mounts stage1 for a launch and makes sure `rkt/status` is in the upper layer, where stage0 looks for it. */
export function mountStage1(pod: PodDir, context: MountContext): Stage1Root {
  const root = mountStage1Root(pod, context);
  touch(statusDir(root));
  return root;
}

/** Mounts stage1's overlay, and nothing else: enough for its gc entry point to run. */
export function mountStage1Root(pod: PodDir, context: MountContext): Stage1Root {
  const root = stage1Rootfs(pod);
  mountTree(pod, stage1TreeId(pod), '', root, context);
  return root;
}

/** Mounts the app's overlay below stage1, with its image manifest beside it. */
export function mountApp(pod: PodDir, root: Stage1Root, app: string, context: MountContext): void {
  makeAppDir(root, app, podUsers(pod));
  copyFileSync(appImageManifestFile(pod, app), appManifest(root, app));
  mountTree(pod, appTreeId(pod, app), app, appRootfs(root, app), context);
}

/**
 * ID of the tree that an app runs on, or was copied from.
 * @throws PodError `bad-manifest` when the file holds anything else.
 */
export function appTreeId(pod: PodDir, app: string): string {
  const id = readFileSync(appTreeIdFile(pod, app), 'utf8').trim();
  if (!isTreeId(id)) throw new PodError('bad-manifest', `${appTreeIdFile(pod, app)} holds no tree ID`);
  return id;
}

function mountTree(pod: PodDir, treeId: string, app: string, target: string, context: MountContext): void {
  const lower = treeRootfs(treeDir(context.data, treeId));
  const [upper, work] = [overlayUpper(pod, treeId, app), overlayWork(pod, treeId, app)];
  mkdirSync(overlayDir(pod), { recursive: true, mode: POD_DIR_MODE });
  // The pod directory may pass its setgid bit on; files of containers must not inherit a host group.
  chmodSync(overlayDir(pod), POD_DIR_MODE);
  mkdirSync(overlayTreeDir(pod, treeId), { recursive: true, mode: POD_DIR_MODE });
  if (context.groupId >= 0) chownSync(overlayTreeDir(pod, treeId), -1, context.groupId);
  const users = podUsers(pod);
  makeUpper(upper, lower, users?.shift ?? 0);
  mkdirSync(work, { recursive: true, mode: POD_DIR_MODE });
  const label = mountLabel(pod);
  if (label !== undefined) labelFiles(context.kernel, [upper, work], label);
  mkdirSync(target, { recursive: true, mode: 0o755 });
  mountLayers(context.kernel, { pod, treeId, users, label }, { lower, upper, work, target });
}

/** What an overlay of a pod depends on beside its directories. */
export interface LayersOf {
  readonly pod: PodDir;
  readonly treeId: string;
  /** {@link podUsers} of the pod. */
  readonly users: UidRange | undefined;
  /** `mountLabel` of the pod. */
  readonly label: string | undefined;
}

/**
 * Mounts an overlay of the pod. With users of its own, the tree below is shown as theirs; what the pod writes has their
 * ids on disk as well. @throws KernelError
 */
export function mountLayers(
  kernel: Kernel,
  { pod, treeId, users, label }: LayersOf,
  layers: OverlayMount,
): void {
  const labelled = label === undefined ? layers : { ...layers, context: label };
  if (users === undefined) return mountOverlay(kernel, labelled);
  const lower = overlayLower(pod, treeId);
  mkdirSync(lower, { recursive: true, mode: POD_DIR_MODE });
  mountIdMapped(kernel, layers.lower, lower, users);
  try {
    mountOverlay(kernel, { ...labelled, lower });
  } finally {
    // The overlay holds a mount of its own.
    kernel.umount2(lower, MNT_DETACH);
  }
}

/** The ids a pod has for itself; undefined for those of the host. */
export function podUsers(pod: PodDir): UidRange | undefined {
  const range = readIfThere(privateUsersFile(pod));
  return range === undefined ? undefined : parseUidRange(range);
}

// The upper directory is the root the pod sees: it takes mode and owner of the tree's.
function makeUpper(upper: string, lower: string, shift: number): void {
  const { mode, uid, gid } = statSync(lower);
  mkdirSync(upper, { recursive: true, mode: POD_DIR_MODE });
  chownSync(upper, uid + shift, gid + shift);
  chmodSync(upper, mode & 0o7777);
}

// Opening a directory for its times alone does not copy it up; changing its mode to what it is does.
function touch(directory: string): void {
  const { mode } = statSync(directory);
  chmodSync(directory, mode & 0o7777);
  closeSync(openSync(directory, 'r'));
}
