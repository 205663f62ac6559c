// A pod as directory and lock: created, taken, moved (contract stage0 8.1). Runs in stage0.

import { closeSync, fsyncSync, fstatSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { type FileLock, lockDirectory } from '@rkt/linux/file-lock';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import {
  LEGAL_MOVES,
  POD_DIRECTORIES,
  type PodDirectoryName,
  type PodPhase,
  podPhase,
} from '@rkt/pod-layout/lifecycle';
import { POD_DIR_MODE, type PodDir, podPath, podStateDir } from '@rkt/pod-layout/pod-paths';

import { PodError } from './errors.ts';

/** A pod this process has locked exclusively. The kernel frees the lock when the process ends. */
export interface LockedPod {
  readonly data: DataDir;
  readonly uuid: string;
  readonly directory: PodDirectoryName;
  readonly dir: PodDir;
  readonly lock: FileLock;
}

/** What could be seen of a pod at one moment, without holding anything. */
export interface PodSnapshot {
  readonly data: DataDir;
  readonly uuid: string;
  readonly directory: PodDirectoryName;
  readonly dir: PodDir;
  readonly phase: PodPhase;
}

/** Creates the state directories that are missing (mode 0750). */
export function ensurePodDirectories(data: DataDir): void {
  for (const directory of POD_DIRECTORIES) {
    mkdirSync(podStateDir(data, directory), { recursive: true, mode: POD_DIR_MODE });
  }
}

/** A new, locked pod in `prepare`. It is born in `embryo`, so that nobody sees it in `prepare` without its lock. */
export function createPod(data: DataDir, uuid: string): LockedPod {
  ensurePodDirectories(data);
  for (;;) {
    const embryo = podPath(data, 'embryo', uuid);
    mkdirSync(embryo, { mode: POD_DIR_MODE });
    let lock: FileLock | undefined;
    try {
      lock = lockDirectory(embryo, { exclusive: true, wait: true });
      return movePod({ data, uuid, directory: 'embryo', dir: embryo, lock }, 'prepare');
    } catch (error) {
      lock?.release();
      // A gc saw it before it was locked, and took it for one whose maker is gone.
      if (!isMissing(error)) throw error;
    }
  }
}

/**
 * Locks the pod exclusively where it is expected to be.
 * Returns undefined when it is no longer there or somebody else holds it.
 */
export function takePod(data: DataDir, uuid: string, directory: PodDirectoryName): LockedPod | undefined {
  const dir = podPath(data, directory, uuid);
  let lock: FileLock | undefined;
  try {
    lock = lockDirectory(dir, { exclusive: true, wait: false });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (lock === undefined) return undefined;
  // Another process may have moved the pod between our open and our lock.
  if (!isSameDirectory(lock.fd, dir)) {
    lock.release();
    return undefined;
  }
  return { data, uuid, directory, dir, lock };
}

/**
 * Moves the pod to another state directory and makes the move durable.
 * @throws when another process moved it first (ENOENT).
 */
export function movePod(pod: LockedPod, to: PodDirectoryName): LockedPod {
  if (!LEGAL_MOVES[pod.directory].includes(to)) {
    throw new PodError('wrong-state', `pod ${quote(pod.uuid)} cannot go from ${pod.directory} to ${to}`);
  }
  const dir = podPath(pod.data, to, pod.uuid);
  renameSync(pod.dir, dir);
  syncPath(podStateDir(pod.data, to));
  return { ...pod, directory: to, dir };
}

/** Where the pod is now and what that means; undefined when it is nowhere. */
export function findPod(data: DataDir, uuid: string): PodSnapshot | undefined {
  // A pod that moves on while we look is found in a later directory; one pass more catches the rest.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    for (const directory of POD_DIRECTORIES) {
      const snapshot = lookAt(data, uuid, directory);
      if (snapshot !== undefined) return snapshot;
    }
  }
  return undefined;
}

/** The pod in exactly this directory; undefined when it is not there (any more). */
export function lookAt(data: DataDir, uuid: string, directory: PodDirectoryName): PodSnapshot | undefined {
  const dir = podPath(data, directory, uuid);
  // Where the lock says nothing it is not touched: whoever wants to take the pod might find it held by us.
  if (podPhase(directory, false) === podPhase(directory, true)) {
    const isThere = statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true;
    return isThere ? { data, uuid, directory, dir, phase: podPhase(directory, false) } : undefined;
  }
  let locked = true;
  try {
    const lock = lockDirectory(dir, { exclusive: false, wait: false });
    if (lock !== undefined) {
      // Whoever held the lock may have moved or deleted the directory before letting go: what we locked is then no
      // longer the pod, and a pod that just became prepared would pass for one whose preparation failed.
      const isGone = !isSameDirectory(lock.fd, dir);
      lock.release();
      if (isGone) return undefined;
      locked = false;
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return { data, uuid, directory, dir, phase: podPhase(directory, locked) };
}

/** fsync(2) of a file, or of a directory: what was renamed into it is there after a power failure as well. */
export function syncPath(name: string): void {
  const fd = openSync(name, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Whether `error` says that a path does not exist. */
export function isMissing(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function isSameDirectory(fd: number, dir: string): boolean {
  const now = statSync(dir, { throwIfNoEntry: false });
  const held = fstatSync(fd);
  return now !== undefined && now.ino === held.ino && now.dev === held.dev;
}
