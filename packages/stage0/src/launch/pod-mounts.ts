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
import { mountOverlay } from '@rkt/linux/overlay';
import { type DataDir, treeDir, treeRootfs } from '@rkt/pod-layout/data-dir';
import {
  appImageManifestFile,
  appTreeIdFile,
  isTreeId,
  overlayDir,
  overlayTreeDir,
  overlayUpper,
  overlayWork,
  POD_DIR_MODE,
  type PodDir,
  type Stage1Root,
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appDir, appManifest, appRootfs, statusDir } from '@rkt/pod-layout/stage1-paths';

import { PodError } from '../pod/errors.ts';
import { stage1TreeId } from '../pod/record.ts';

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
  mkdirSync(appDir(root, app), { recursive: true, mode: POD_DIR_MODE });
  copyFileSync(appImageManifestFile(pod, app), appManifest(root, app));
  mountTree(pod, appTreeId(pod, app), app, appRootfs(root, app), context);
}

/** ID of the tree an overlay pod's app comes from. */
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
  makeUpper(upper, lower);
  mkdirSync(work, { recursive: true, mode: POD_DIR_MODE });
  mkdirSync(target, { recursive: true, mode: 0o755 });
  mountOverlay(context.kernel, { lower, upper, work, target });
}

// The upper directory is the root the pod sees: it takes mode and owner of the tree's.
function makeUpper(upper: string, lower: string): void {
  const { mode, uid, gid } = statSync(lower);
  mkdirSync(upper, { recursive: true, mode: POD_DIR_MODE });
  chownSync(upper, uid, gid);
  chmodSync(upper, mode & 0o7777);
}

// Opening a directory for its times alone does not copy it up; changing its mode to what it is does.
function touch(directory: string): void {
  const { mode } = statSync(directory);
  chmodSync(directory, mode & 0o7777);
  closeSync(openSync(directory, 'r'));
}
