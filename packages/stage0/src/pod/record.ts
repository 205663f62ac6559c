// What a pod's directory says about it: manifest, times, processes, exit codes, networks (contract stage0 8.10, 8.14,
// 8.16; stage1 1.13, 1.14). Reads only. Runs in stage0.

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

import { wrap } from '@rkt/diagnostics/rkt-error';
import { parseExitStatus, parsePid } from '@rkt/pod-layout/files';
import { hasRun } from '@rkt/pod-layout/lifecycle';
import { type NetInfo, parseNetInfo } from '@rkt/pod-layout/net-info';
import {
  appImageManifestFile,
  isTreeId,
  netInfoFile,
  overlayPreparedMark,
  pidFile,
  type PodDir,
  podCreatedMark,
  podManifestFile,
  ppidFile,
  type Stage1Root,
  stage1StatusRoot,
  stage1TreeIdFile,
} from '@rkt/pod-layout/pod-paths';
import { statusFile, SUPERVISOR_READY, supervisorStatus } from '@rkt/pod-layout/stage1-paths';

import { PodError } from './errors.ts';
import { isMissing, type PodSnapshot } from './pod.ts';

/** The pod's own copy of an app's image manifest, as text. */
export function readAppImageManifestText(pod: PodDir, app: string): string {
  return readFileSync(appImageManifestFile(pod, app), 'utf8');
}

/** Whether the pod was prepared for overlay. */
export function usesOverlay(pod: PodDir): boolean {
  return statSync(overlayPreparedMark(pod), { throwIfNoEntry: false }) !== undefined;
}

/**
 * ID of the tree the pod's stage1 comes from.
 * @throws PodError `bad-manifest` when the file holds anything else: it becomes part of paths that are executed.
 */
export function stage1TreeId(pod: PodDir): string {
  const id = readFileSync(stage1TreeIdFile(pod), 'utf8').trim();
  if (!isTreeId(id)) throw new PodError('bad-manifest', `${stage1TreeIdFile(pod)} holds no tree ID`);
  return id;
}

/** The root below which stage1 leaves its records for stage0. */
export function statusRoot(pod: PodDir): Stage1Root {
  return stage1StatusRoot(pod, usesOverlay(pod) ? stage1TreeId(pod) : undefined);
}

/** Milliseconds since the epoch at which the pod was prepared; undefined while it is not. */
export function createdAt(pod: PodDir): number | undefined {
  return modifiedAt(podCreatedMark(pod)) ?? modifiedAt(podManifestFile(pod));
}

/** Milliseconds since the epoch at which stage1 started the pod; undefined if it never did. */
export function startedAt({ dir, phase }: PodSnapshot): number | undefined {
  return hasRun(phase) ? (modifiedAt(pidFile(dir)) ?? modifiedAt(ppidFile(dir))) : undefined;
}

/** Milliseconds since the epoch at which gc marked the pod: the change of the directory itself. */
export function markedAt(pod: PodDir): number {
  return statSync(pod).ctimeMs;
}

/** The pid `status` prints: that of the pod's init if stage1 knows it, else of its parent. */
export function shownPid(pod: PodDir): number | undefined {
  return readPid(pidFile(pod)) ?? readPid(ppidFile(pod));
}

/**
 * The host's pid of the pod's init; undefined while stage1 has not got that far.
 * @throws PodError `stage1` when the recorded parent has several children.
 */
export function initPid(pod: PodDir): number | undefined {
  const pid = readPid(pidFile(pod));
  if (pid !== undefined) return pid;
  const parent = readPid(ppidFile(pod));
  if (parent === undefined) return undefined;
  const children = childrenOf(parent);
  if (children.length > 1) throw new PodError('stage1', `too many children of pid ${parent}`);
  return children[0];
}

/** Exit code of an app, as stage1 recorded it; undefined if it has not. */
export function exitStatus(root: Stage1Root, app: string): number | undefined {
  const text = readIfThere(statusFile(root, app));
  return text === undefined ? undefined : parseExitStatus(text);
}

/** Milliseconds since the epoch at which the app's exit was recorded. */
export function exitedAt(root: Stage1Root, app: string): number | undefined {
  return modifiedAt(statusFile(root, app));
}

/** Whether stage1's supervisor says it is ready. */
export function isReady(root: Stage1Root): boolean {
  try {
    return readlinkSync(supervisorStatus(root)) === SUPERVISOR_READY;
  } catch (error) {
    if (isMissing(error) || (error as { code?: unknown }).code === 'EINVAL') return false;
    throw error;
  }
}

/** Networks the pod is on. */
export function readNetworks(pod: PodDir): NetInfo[] {
  const text = readIfThere(netInfoFile(pod));
  return text === undefined ? [] : parseNetInfo(text);
}

/** Content of a file, or undefined when there is no such file. */
export function readIfThere(file: string): string | undefined {
  // Most of what is asked for is not there, and asking first is much cheaper than an exception.
  if (!existsSync(file)) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function readPid(file: string): number | undefined {
  const text = readIfThere(file);
  if (text === undefined || text === '') return undefined;
  return parsePid(text);
}

/** Milliseconds since the epoch at which a file was changed last; undefined when it is not there. */
export function modifiedAt(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

// The kernel lists children per thread; it may be built without that (CONFIG_PROC_CHILDREN).
function childrenOf(parent: number): number[] {
  const listed = readIfThere(`/proc/${parent}/task/${parent}/children`);
  if (listed !== undefined) {
    return listed
      .split(' ')
      .filter((word) => word.trim() !== '')
      .map(Number);
  }
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readIfThere(`/proc/${name}/stat`);
    // Field 4, behind the command name, which may itself hold spaces and parentheses.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields?.[1]) === parent) children.push(Number(name));
  }
  return children;
}

/** Wraps what goes wrong while a pod's manifest is read, for the commands that list pods. */
export function manifestError(uuid: string, cause: unknown): Error {
  return wrap(`Unable to read pod ${uuid} manifest:`, cause);
}
