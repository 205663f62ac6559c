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
  stage1Rootfs,
} from '@rkt/pod-layout/pod-paths';
import { appDir } from '@rkt/pod-layout/stage1-paths';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import { checkOsArch, labelValue } from '@rkt/spec/labels';

import type { SecondThread } from '../treestore/second-thread.ts';
import type { RootCopy, TreeStore } from '../treestore/tree-store.ts';

/** How app images reach the pod. */
export interface AppImageTarget {
  readonly pod: PodDir;
  readonly treeStore: TreeStore;
  readonly overlay: boolean;
  readonly privateUsers: UidRange | undefined;
  /** Takes part in copies. */
  readonly second: SecondThread | undefined;
  /** The pod is to survive a power failure. */
  readonly durable: boolean;
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

/** Records the image for app `name` and renders it: into the tree store with overlay, else into the pod. */
export async function prepareAppImage(
  target: AppImageTarget,
  name: string,
  key: ImageKey,
  manifestText: string,
): Promise<void> {
  const { pod, treeStore, overlay, privateUsers, second } = target;
  mkdirSync(appInfoDir(pod, name), { mode: POD_DIR_MODE });
  writeFileSync(appImageManifestFile(pod, name), manifestText, { mode: POD_FILE_MODE });
  if (overlay) {
    const { id } = await treeStore.render(key);
    writeFileSync(appTreeIdFile(pod, name), id, { mode: POD_FILE_MODE });
    return;
  }
  const directory = appDir(stage1Rootfs(pod), name);
  mkdirSync(directory, { recursive: true, mode: POD_DIR_MODE });
  // Nobody but its owner may pass, so that is the pod's root.
  if (privateUsers !== undefined) chownSync(directory, privateUsers.shift, privateUsers.shift);
  await treeStore.renderInto(key, directory, copyOf(target), second);
}

/** How the tree store is to copy files into the pod. */
export function copyOf({
  privateUsers: range,
  durable,
}: Pick<AppImageTarget, 'privateUsers' | 'durable'>): RootCopy {
  return { syncFollows: durable, ...(range && { uidShift: range.shift, gidShift: range.shift }) };
}
