// Every path of the data directory outside pods: image store, trees, locks (contract stage0 2.6, 7). Pure.

import path from 'node:path';

/** The data directory, absolute, e.g. /var/lib/rkt. */
export type DataDir = string & { readonly __brand: 'DataDir' };

/** Where data lives unless --dir or a `paths` configuration says otherwise (contract stage0 1.7). */
export const DEFAULT_DATA_DIR = '/var/lib/rkt';

/** Brands an absolute path as the data directory. */
export function dataDir(absolutePath: string): DataDir {
  return absolutePath as DataDir;
}

/** Modes of what the store creates, applied with umask 0 (contract stage0 2.6). */
export const STORE_DIR_MODE = 0o2770;
export const STORE_FILE_MODE = 0o660;
export const TREE_DIR_MODE = 0o755;
export const LOCKS_DIR_MODE = 0o750;

export const casDir = (data: DataDir): string => path.join(data, 'cas');
export const dbDir = (data: DataDir): string => path.join(data, 'cas', 'db');
/** Image metadata; our own format beside the original's ql.db, which is left alone. */
export const dbFile = (data: DataDir): string => path.join(data, 'cas', 'db', 'rkt.db');
export const dbBackupsDir = (data: DataDir): string => path.join(data, 'cas', 'db-backups');
export const imageLocksDir = (data: DataDir): string => path.join(data, 'cas', 'imagelocks');
export const imageLockFile = (data: DataDir, key: string): string =>
  path.join(data, 'cas', 'imagelocks', key);
export const blobsDir = (data: DataDir): string => path.join(data, 'cas', 'blob', 'sha512');
export const blobFile = (data: DataDir, key: string): string => path.join(blobsDir(data), fanOut(key), key);
export const manifestsDir = (data: DataDir): string => path.join(data, 'cas', 'imageManifest', 'sha512');
export const imageManifestFile = (data: DataDir, key: string): string =>
  path.join(manifestsDir(data), fanOut(key), key);
/** Layers of docker and OCI images as they came, by digest (`sha256:...`), so that none is fetched twice. */
export const layersDir = (data: DataDir): string => path.join(data, 'cas', 'layer');
export const layerFile = (data: DataDir, digest: string): string => {
  const [algorithm = '', hex = ''] = digest.split(':');
  return path.join(layersDir(data), algorithm, hex.slice(0, 2), hex);
};
export const casTmpDir = (data: DataDir): string => path.join(data, 'cas', 'tmp');
export const treesDir = (data: DataDir): string => path.join(data, 'cas', 'tree');
export const treeLocksDir = (data: DataDir): string => path.join(data, 'cas', 'treestorelocks');
export const treeLockFile = (data: DataDir, treeId: string): string =>
  path.join(data, 'cas', 'treestorelocks', treeId);
export const locksDir = (data: DataDir): string => path.join(data, 'locks');
/** Held shared by whoever prepares a pod, exclusively by image gc (contract stage0 7.4). */
export const prepareLockFile = (data: DataDir): string => path.join(data, 'locks', 'prepareLock');
/** Held exclusively by whoever picks a range of user ids for a pod; ours. */
export const uidRangesLockFile = (data: DataDir): string => path.join(data, 'locks', 'uidRangesLock');
/** Held exclusively by whoever picks SELinux categories for a pod; ours. */
export const selinuxLevelsLockFile = (data: DataDir): string => path.join(data, 'locks', 'selinuxLevelsLock');
export const scratchDir = (data: DataDir): string => path.join(data, 'tmp');

/** Paths inside one tree of the tree store, cas/tree/ID (contract stage0 7.7). */
export const treeDir = (data: DataDir, treeId: string): string => path.join(data, 'cas', 'tree', treeId);
export const treeRootfs = (tree: string): string => path.join(tree, 'rootfs');
export const treeManifest = (tree: string): string => path.join(tree, 'manifest');
export const treeHashFile = (tree: string): string => path.join(tree, 'hash');
export const treeRenderedMark = (tree: string): string => path.join(tree, 'rendered');
export const treeImageFile = (tree: string): string => path.join(tree, 'image');

/** Prefix of every tree ID, followed by 64 hex digits. */
export const TREE_ID_PREFIX = 'deps-sha512-';

// The first two hex digits of a key name its directory.
function fanOut(key: string): string {
  return key.slice('sha512-'.length, 'sha512-'.length + 2);
}
