// Opens the directories of a pod's journal: one for each machine ID, and pods of rkt have one. Whoever is root in the pod
// may have put links in their place, and none is followed. Runs in stage0.

import { closeSync, readdirSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { O_DIRECTORY, O_RDONLY } from '@rkt/linux/constants';
import { openBeneath, openRoot, procFdPath } from '@rkt/linux/safe-path';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR } from '@rkt/pod-layout/stage1-paths';

import { JournalError } from './errors.ts';

/** journald has one; a pod may make any number. */
const MOST_DIRECTORIES = 256;
const IN_ROOT = JOURNAL_DIR.slice(1);

/**
 * The directory of one machine ID, of 32 hexadecimal digits; undefined while there is none. Close the descriptor.
 * @throws KernelError, `ELOOP` for a symbolic link
 */
export function openMachineDirectory(root: Stage1Root, machine: string): number | undefined {
  const rootFd = openRoot(root);
  try {
    return openDirectory(rootFd, `${IN_ROOT}/${machine}`);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  } finally {
    closeSync(rootFd);
  }
}

/**
 * The directories of all machine IDs. Close the descriptors.
 * @throws JournalError `no-journal`, KernelError
 */
export function openMachineDirectories(root: Stage1Root): number[] {
  const directory = openJournalDirectory(root);
  const opened: number[] = [];
  try {
    for (const machine of readdirSync(procFdPath(directory)).slice(0, MOST_DIRECTORIES)) {
      try {
        opened.push(openDirectory(directory, machine));
      } catch (error) {
        if (!isNoDirectory(error)) throw error;
      }
    }
    return opened;
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  } finally {
    closeSync(directory);
  }
}

function openJournalDirectory(root: Stage1Root): number {
  let rootFd: number | undefined;
  try {
    rootFd = openRoot(root);
    return openDirectory(rootFd, IN_ROOT);
  } catch (error) {
    if (!isNoDirectory(error)) throw error;
    throw new JournalError('no-journal', `there is no journal in ${root}`);
  } finally {
    if (rootFd !== undefined) closeSync(rootFd);
  }
}

function openDirectory(fd: number, name: string): number {
  return openBeneath(fd, name, O_RDONLY | O_DIRECTORY, 0, { noSymlinks: true });
}

function isNoDirectory(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].some((code) => hasCode(error, code));
}
