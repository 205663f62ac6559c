// Files and kernel tables that say which processes are the pod's (contract 1.7, 1.13). Runs in stage1, on the host.

import { readdirSync, readFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { parsePid, printPid } from '@rkt/pod-layout/files';
import { pgidFile, pidFile, ppidFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import { writeNew } from './write-new.ts';

const PID_FILE_MODE = 0o644;

/** Records the pod process itself. */
export const writePid = (pod: PodDir, pid: number): void =>
  writeNew(pidFile(pod), printPid(pid), PID_FILE_MODE);
/** Records the parent of the pod's PID 1. */
export const writePpid = (pod: PodDir, pid: number): void =>
  writeNew(ppidFile(pod), printPid(pid), PID_FILE_MODE);
/** Records the process group of the pod process. */
export const writePgid = (pod: PodDir, pgid: number): void =>
  writeNew(pgidFile(pod), printPid(pgid), PID_FILE_MODE);

/** The pod process, or undefined while it is not recorded. @throws PodLayoutError `bad-file` */
export const readPid = (pod: PodDir): number | undefined => readPidFile(pidFile(pod));
/** The parent of the pod's PID 1, or undefined while it is not recorded. @throws PodLayoutError `bad-file` */
export const readPpid = (pod: PodDir): number | undefined => readPidFile(ppidFile(pod));
/** The process group of the pod process, or undefined. @throws PodLayoutError `bad-file` */
export const readPgid = (pod: PodDir): number | undefined => readPidFile(pgidFile(pod));

function readPidFile(file: string): number | undefined {
  try {
    return parsePid(readFileSync(file, 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Children of a process, oldest first; empty when it is gone. Zombies count. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch (error) {
    // Either the process is gone, or the kernel was built without CONFIG_PROC_CHILDREN.
    if (hasCode(error, 'ENOENT')) return childrenByScan(pid);
    if (hasCode(error, 'ESRCH')) return [];
    throw error;
  }
}

function childrenByScan(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
    .sort((a, b) => a - b);
}

/** Parent of a process, or undefined when it is gone. */
export function parentOf(pid: number): number | undefined {
  try {
    // The name in parentheses may itself hold spaces and parentheses: count from the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}
