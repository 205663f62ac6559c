// Makes the directories and files of the store with the modes that let the group `rkt` share them
// (contract stage0 2.6). Runs in stage0.

import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { STORE_DIR_MODE, STORE_FILE_MODE } from '@rkt/pod-layout/data-dir';

/** Makes `directory` and what is missing above it; what exists is left as it is. @throws KernelError */
export function ensureDirectory(directory: string, mode: number = STORE_DIR_MODE): void {
  withKernelErrors(directory, () => {
    try {
      mkdirSync(directory, { mode: 0o700 });
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      if (!hasCode(error, 'ENOENT')) throw error;
      const parent = path.dirname(directory);
      if (parent === directory) throw error;
      ensureDirectory(parent, mode);
      try {
        mkdirSync(directory, { mode: 0o700 });
      } catch (again) {
        if (hasCode(again, 'EEXIST')) return;
        throw again;
      }
    }
    // mkdir(2) drops the setgid bit and applies the umask.
    chmodSync(directory, mode);
  });
}

/** Opens a new file, making its directory when that is missing. @throws KernelError */
export function createFile(file: string, mode: number = STORE_FILE_MODE): number {
  return withKernelErrors(file, () => {
    let fd: number;
    try {
      fd = openSync(file, 'wx+', 0o600);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      ensureDirectory(path.dirname(file));
      fd = openSync(file, 'wx+', 0o600);
    }
    fchmodSync(fd, mode);
    return fd;
  });
}

/** Renames a file of the store into place, making the directory when that is missing. @throws KernelError */
export function moveIntoPlace(from: string, to: string): void {
  withKernelErrors(to, () => {
    try {
      renameSync(from, to);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      ensureDirectory(path.dirname(to));
      renameSync(from, to);
    }
  });
}

/** Writes a file so that it appears whole or not at all, also after a power failure. @throws KernelError */
export function writeWhole(file: string, temporary: string, text: string): void {
  const fd = createFile(temporary);
  try {
    withKernelErrors(file, () => {
      writeFileSync(fd, text);
      fsyncSync(fd);
    });
    moveIntoPlace(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
