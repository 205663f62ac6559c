// Every path of a pod as stage0 and stage1 see it from the host (contract stage1 1.7). Pure.

import path from 'node:path';

import { type DataDir, TREE_ID_PREFIX } from './data-dir.ts';
import type { PodDirectoryName } from './lifecycle.ts';

/** The directory of one pod: <data>/pods/<state>/<uuid>. */
export type PodDir = string & { readonly __brand: 'PodDir' };
/** The root file system of a pod's stage1 as seen from the host. */
export type Stage1Root = string & { readonly __brand: 'Stage1Root' };
/** Name of an app, an AC Name, unique in its pod. */
export type AppName = string;

export const POD_DIR_MODE = 0o750;
export const POD_FILE_MODE = 0o640;
export const SHARED_VOLUMES_MODE = 0o755;

/** Brands an absolute path as a pod directory; stage1 uses its working directory. */
export function podDir(absolutePath: string): PodDir {
  return absolutePath as PodDir;
}

/** Brands a path as a stage1 root, e.g. the upper directory that survives unmounting. */
export function stage1Root(absolutePath: string): Stage1Root {
  return absolutePath as Stage1Root;
}

export const podsDir = (data: DataDir): string => path.join(data, 'pods');
export const podStateDir = (data: DataDir, state: PodDirectoryName): string => path.join(data, 'pods', state);
export const podPath = (data: DataDir, state: PodDirectoryName, uuid: string): PodDir =>
  podDir(path.join(data, 'pods', state, uuid));

export const podManifestFile = (pod: PodDir): string => path.join(pod, 'pod');
export const podMutationLock = (pod: PodDir): string => path.join(pod, 'pod.lck');
export const podCreatedMark = (pod: PodDir): string => path.join(pod, 'pod-created');
export const stage1Dir = (pod: PodDir): string => path.join(pod, 'stage1');
export const stage1ManifestFile = (pod: PodDir): string => path.join(pod, 'stage1', 'manifest');
export const stage1Rootfs = (pod: PodDir): Stage1Root => stage1Root(path.join(pod, 'stage1', 'rootfs'));
export const stage1TreeIdFile = (pod: PodDir): string => path.join(pod, 'stage1TreeStoreID');
export const appsInfoDir = (pod: PodDir): string => path.join(pod, 'appsinfo');
export const appInfoDir = (pod: PodDir, app: AppName): string => path.join(pod, 'appsinfo', app);
/** The pod's own copy of the app's image manifest. */
export const appImageManifestFile = (pod: PodDir, app: AppName): string =>
  path.join(pod, 'appsinfo', app, 'manifest');
export const appTreeIdFile = (pod: PodDir, app: AppName): string =>
  path.join(pod, 'appsinfo', app, 'treeStoreID');
export const overlayPreparedMark = (pod: PodDir): string => path.join(pod, 'overlay-prepared');
export const privateUsersFile = (pod: PodDir): string => path.join(pod, 'private-users-prepared');
export const overlayDir = (pod: PodDir): string => path.join(pod, 'overlay');
export const overlayTreeDir = (pod: PodDir, treeId: string): string => path.join(pod, 'overlay', treeId);
/** Upper directory of an app, or of stage1 itself when `app` is empty. */
export const overlayUpper = (pod: PodDir, treeId: string, app: AppName | ''): string =>
  path.join(pod, 'overlay', treeId, 'upper', app);
export const overlayWork = (pod: PodDir, treeId: string, app: AppName | ''): string =>
  path.join(pod, 'overlay', treeId, 'work', app);
export const mdsRegisteredMark = (pod: PodDir): string => path.join(pod, 'mds-registered');
export const runtimeConfigFile = (pod: PodDir): string => path.join(pod, 'runtime-config');
export const flavorLink = (pod: PodDir): string => path.join(pod, 'flavor');
export const subcgroupFile = (pod: PodDir): string => path.join(pod, 'subcgroup');
export const ppidFile = (pod: PodDir): string => path.join(pod, 'ppid');
export const pidFile = (pod: PodDir): string => path.join(pod, 'pid');
export const pgidFile = (pod: PodDir): string => path.join(pod, 'pgid');
export const netnsFile = (pod: PodDir): string => path.join(pod, 'netns');
export const netDir = (pod: PodDir): string => path.join(pod, 'net');
export const netInfoFile = (pod: PodDir): string => path.join(pod, 'net-info.json');
export const sharedVolumesDir = (pod: PodDir): string => path.join(pod, 'sharedVolumes');
export const sharedVolume = (pod: PodDir, volume: string): string => path.join(pod, 'sharedVolumes', volume);

/**
 * Where stage0 reads what stage1 left behind: the upper directory of an overlay pod, since it outlives the mount,
 * else the stage1 root itself (contract stage1 1.7, end).
 */
export function stage1StatusRoot(pod: PodDir, overlayTreeId: string | undefined): Stage1Root {
  return overlayTreeId === undefined
    ? stage1Rootfs(pod)
    : stage1Root(path.join(pod, 'overlay', overlayTreeId, 'upper'));
}

/** Whether `text` has the form of a tree ID, so that it may become part of a path. */
export function isTreeId(text: string): boolean {
  return text.startsWith(TREE_ID_PREFIX) && /^[0-9a-f]{64}$/.test(text.slice(TREE_ID_PREFIX.length));
}
