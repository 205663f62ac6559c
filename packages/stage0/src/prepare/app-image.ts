// Puts an app's image into a pod that is being prepared (contract stage0 8.9). Runs in stage0.

import { chownSync, mkdirSync, writeFileSync } from 'node:fs';

import { PodError } from '../pod/errors.ts';
import type { UidRange } from '@rkt/pod-layout/files';
import {
  appImageManifestFile,
  appInfoDir,
  appTreeIdFile,
  POD_DIR_MODE,
  POD_FILE_MODE,
  type PodDir,
  type Stage1Root,
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appDir } from '@rkt/pod-layout/stage1-paths';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import { checkOsArch, labelValue } from '@rkt/spec/labels';

import type { SecondThread } from '../treestore/second-thread.ts';
import type { OwnerShift, TreeStore } from '../treestore/tree-store.ts';

/** How app images reach the pod. */
export interface AppImageTarget {
  readonly pod: PodDir;
  readonly treeStore: TreeStore;
  readonly overlay: boolean;
  readonly privateUsers: UidRange | undefined;
  /** Takes part in copies. */
  readonly second: SecondThread | undefined;
}

/**
 * Refuses images that no Linux of ours can run.
 * @throws PodError `bad-manifest` for a missing label; SpecError for an unknown os or architecture.
 */
export function checkPlatform(image: ImageManifest): void {
  for (const label of ['os', 'arch'] as const) {
    if (labelValue(image.labels, label) === undefined) {
      throw new PodError('bad-manifest', `missing ${label} label in the image manifest`);
    }
  }
  checkOsArch(image.labels ?? [], 'rkt');
}

/**
 * Records the image for app `name` and renders it: into the tree store with overlay, else into the pod, from its tree
 * if it has one.
 */
export async function prepareAppImage(
  target: AppImageTarget,
  name: string,
  key: ImageKey,
  manifestText: string,
): Promise<void> {
  const { pod, treeStore, overlay, privateUsers, second } = target;
  mkdirSync(appInfoDir(pod, name), { mode: POD_DIR_MODE });
  writeFileSync(appImageManifestFile(pod, name), manifestText, { mode: POD_FILE_MODE });
  const tree = overlay
    ? (await treeStore.render(key)).id
    : await treeStore.renderInto(
        key,
        makeAppDir(stage1Rootfs(pod), name, privateUsers),
        shiftOf(privateUsers),
        second,
      );
  // So that image gc leaves it: the pod runs on it, or its copy may have to be made again.
  if (tree !== undefined) writeFileSync(appTreeIdFile(pod, name), tree, { mode: POD_FILE_MODE });
}

/** Makes the directory below stage1's root that an app's root and manifest go to. */
export function makeAppDir(root: Stage1Root, name: string, users: UidRange | undefined): string {
  const directory = appDir(root, name);
  mkdirSync(directory, { recursive: true, mode: POD_DIR_MODE });
  // Nobody but its owner may pass, so that is the pod's root.
  if (users !== undefined) chownSync(directory, users.shift, users.shift);
  return directory;
}

/** How owners of files change on their way into a pod with these users. */
export function shiftOf(users: UidRange | undefined): OwnerShift {
  return users === undefined ? {} : { uidShift: users.shift, gidShift: users.shift };
}
