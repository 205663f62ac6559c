// Every path of a pod as stage0 and stage1 see it from the host (contract stage1 1.7). Pure.
// Plain joining of text: a listing makes thousands of these, and all parts are clean already.

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

export const podsDir = (data: DataDir): string => `${data}/pods`;
export const podStateDir = (data: DataDir, state: PodDirectoryName): string => `${data}/pods/${state}`;
export const podPath = (data: DataDir, state: PodDirectoryName, uuid: string): PodDir =>
  podDir(`${data}/pods/${state}/${uuid}`);

export const podManifestFile = (pod: PodDir): string => `${pod}/pod`;
/** Becomes the manifest by a rename. */
export const nextPodManifestFile = (pod: PodDir): string => `${pod}/pod.new`;
export const podMutationLock = (pod: PodDir): string => `${pod}/pod.lck`;
export const podCreatedMark = (pod: PodDir): string => `${pod}/pod-created`;
export const stage1Dir = (pod: PodDir): string => `${pod}/stage1`;
export const stage1ManifestFile = (pod: PodDir): string => `${pod}/stage1/manifest`;
/** stage1's root, relative to the pod directory, for programs that have that as their working directory. */
export const STAGE1_ROOTFS_HERE = 'stage1/rootfs';
export const stage1Rootfs = (pod: PodDir): Stage1Root => stage1Root(`${pod}/${STAGE1_ROOTFS_HERE}`);
export const stage1TreeIdFile = (pod: PodDir): string => `${pod}/stage1TreeStoreID`;
export const appsInfoDir = (pod: PodDir): string => `${pod}/appsinfo`;
export const appInfoDir = (pod: PodDir, app: AppName): string => `${pod}/appsinfo/${app}`;
/** The pod's own copy of the app's image manifest. */
export const appImageManifestFile = (pod: PodDir, app: AppName): string => `${pod}/appsinfo/${app}/manifest`;
export const appTreeIdFile = (pod: PodDir, app: AppName): string => `${pod}/appsinfo/${app}/treeStoreID`;
/**
 * Holds the ID of the boot in which the trees of a prepared pod were copied, which the disk may not have whole before it
 * ends; ours. Not there where all is on the disk.
 */
export const copiedInBootFile = (pod: PodDir): string => `${pod}/copied-in-boot`;
export const overlayPreparedMark = (pod: PodDir): string => `${pod}/overlay-prepared`;
export const privateUsersFile = (pod: PodDir): string => `${pod}/private-users-prepared`;
/** SELinux labels of the pod's processes and files; ours. */
export const selinuxLabelsFile = (pod: PodDir): string => `${pod}/selinux-labels`;
export const overlayDir = (pod: PodDir): string => `${pod}/overlay`;
export const overlayTreeDir = (pod: PodDir, treeId: string): string => `${pod}/overlay/${treeId}`;
/** Upper directory of an app, or of stage1 itself when `app` is empty. */
export const overlayUpper = (pod: PodDir, treeId: string, app: AppName | ''): string =>
  app === '' ? `${pod}/overlay/${treeId}/upper` : `${pod}/overlay/${treeId}/upper/${app}`;
export const overlayWork = (pod: PodDir, treeId: string, app: AppName | ''): string =>
  app === '' ? `${pod}/overlay/${treeId}/work` : `${pod}/overlay/${treeId}/work/${app}`;
/** Where the tree below is while an overlay is mounted over it with other owners. */
export const overlayLower = (pod: PodDir, treeId: string): string => `${pod}/overlay/${treeId}/lower`;
export const mdsRegisteredMark = (pod: PodDir): string => `${pod}/mds-registered`;
export const runtimeConfigFile = (pod: PodDir): string => `${pod}/runtime-config`;
export const flavorLink = (pod: PodDir): string => `${pod}/flavor`;
export const subcgroupFile = (pod: PodDir): string => `${pod}/subcgroup`;
export const ppidFile = (pod: PodDir): string => `${pod}/ppid`;
export const pidFile = (pod: PodDir): string => `${pod}/pid`;
export const pgidFile = (pod: PodDir): string => `${pod}/pgid`;
/** Sockets, pipes and logs of a pod's virtual machine; ours. */
export const virtualMachineDir = (pod: PodDir): string => `${pod}/vm`;
/** A file of {@link virtualMachineDir}, relative to the pod directory: names of sockets are short. */
export const virtualMachineFile = (name: string): string => `vm/${name}`;
export const netnsFile = (pod: PodDir): string => `${pod}/netns`;
export const netDir = (pod: PodDir): string => `${pod}/net`;
export const netInfoFile = (pod: PodDir): string => `${pod}/net-info.json`;
export const sharedVolumesDir = (pod: PodDir): string => `${pod}/sharedVolumes`;
export const sharedVolume = (pod: PodDir, volume: string): string => `${pod}/sharedVolumes/${volume}`;

/**
 * Where stage0 reads what stage1 left behind: the upper directory of an overlay pod, since it outlives the mount,
 * else the stage1 root itself (contract stage1 1.7, end).
 */
export function stage1StatusRoot(pod: PodDir, overlayTreeId: string | undefined): Stage1Root {
  return overlayTreeId === undefined
    ? stage1Rootfs(pod)
    : stage1Root(`${pod}/overlay/${overlayTreeId}/upper`);
}

/** Whether `text` has the form of a tree ID, so that it may become part of a path. */
export function isTreeId(text: string): boolean {
  return text.startsWith(TREE_ID_PREFIX) && /^[0-9a-f]{64}$/.test(text.slice(TREE_ID_PREFIX.length));
}
