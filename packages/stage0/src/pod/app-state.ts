// The state of an app of a sandbox, from the marks that adding, starting and ending leave (contract stage0 8.20,
// stage1 8.4). Reads only. Runs in stage0.

import { isAfterRun } from '@rkt/pod-layout/lifecycle';
import { createdMark, startedMark } from '@rkt/pod-layout/stage1-paths';

import type { PodSnapshot } from './pod.ts';
import { exitedAt, exitStatus, modifiedAt, statusRoot } from './record.ts';

/** State and times (milliseconds since the epoch) of an app. */
export interface AppRecord {
  readonly state: 'unknown' | 'created' | 'running' | 'exited';
  readonly createdAt?: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly exitCode?: number;
}

/** Exit code of an app whose record of it cannot be read. */
const UNREADABLE = 1;

/** What the pod's files say of the app now. */
export function appState(pod: PodSnapshot, app: string): AppRecord {
  const root = statusRoot(pod.dir);
  const created = modifiedAt(createdMark(root, app));
  if (created === undefined) return { state: 'unknown' };
  const started = modifiedAt(startedMark(root, app));
  if (started === undefined) {
    return { state: isAfterRun(pod.phase) ? 'exited' : 'created', createdAt: created };
  }
  const times = { createdAt: created, startedAt: started };
  const finished = exitedAt(root, app);
  if (finished === undefined) return { state: isAfterRun(pod.phase) ? 'exited' : 'running', ...times };
  let exitCode = UNREADABLE;
  try {
    exitCode = exitStatus(root, app) ?? UNREADABLE;
  } catch {
    // Not a number: the app has ended all the same.
  }
  return { state: 'exited', ...times, finishedAt: finished, exitCode };
}
