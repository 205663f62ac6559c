// Keeps pods from being prepared while trees are deleted (contract stage0 7.4). Runs in stage0.

import { type FileLock, lockFile } from '@rkt/linux/file-lock';
import { type DataDir, LOCKS_DIR_MODE, locksDir, prepareLockFile } from '@rkt/pod-layout/data-dir';

import { ensureDirectory } from '../../store/directories.ts';

/** The exclusive lock: nobody prepares a pod, so no tree is about to be referenced. @throws KernelError */
export function lockPreparation(data: DataDir): FileLock {
  ensureDirectory(locksDir(data), LOCKS_DIR_MODE);
  return lockFile(prepareLockFile(data), { exclusive: true, wait: true, create: true, mode: 0o660 });
}
