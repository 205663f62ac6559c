// Waiting for a pod: until it has ended, until it is ready, until it has a process (contract stage0 8.16, 8.18).
// Runs in stage0.

import { setTimeout as sleep } from 'node:timers/promises';

import { isFinished } from '@rkt/pod-layout/lifecycle';

import { PodError } from './errors.ts';
import { findPod, isMissing, type PodSnapshot } from './pod.ts';
import { initPid, isReady, statusRoot } from './record.ts';

const POLL_MS = 100;
const PREPARED_NAP_MS = 1000;

/**
 * Waits until the pod has ended or is gone. A prepared pod counts as not ended.
 * @throws PodError `timeout` after `limitMs` milliseconds.
 */
export async function waitForEnd(pod: PodSnapshot, limitMs: number): Promise<void> {
  await poll(limitMs, () => {
    const now = findPod(pod.data, pod.uuid);
    if (now === undefined || isFinished(now.phase)) return true;
    return now.phase === 'prepared' ? PREPARED_NAP_MS : false;
  });
}

/**
 * Waits until the pod's supervisor is ready.
 * @throws PodError `timeout` after `limitMs` milliseconds, `gone` when the pod ends first (Go rkt waits for ever).
 */
export async function waitForReady(pod: PodSnapshot, limitMs: number): Promise<void> {
  await poll(limitMs, () => {
    const now = findPod(pod.data, pod.uuid);
    if (now === undefined || isFinished(now.phase)) {
      throw new PodError('gone', `pod ${pod.uuid} is not running anymore`);
    }
    try {
      return isReady(statusRoot(now.dir));
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  });
}

/**
 * The host's pid of the pod's init, once stage1 has started it.
 * @throws PodError `gone` when the pod ends first.
 */
export async function waitForInit(pod: PodSnapshot): Promise<number> {
  for (;;) {
    const pid = initPid(pod.dir);
    if (pid !== undefined) return pid;
    if (findPod(pod.data, pod.uuid)?.phase !== 'running') {
      throw new PodError('gone', `pod ${pod.uuid} is not running anymore`);
    }
    await sleep(POLL_MS);
  }
}

// `done` answers true, false, or how many milliseconds longer than usual it makes sense to nap.
async function poll(limitMs: number, done: () => boolean | number): Promise<void> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = done();
    if (answer === true) return;
    const left = deadline - Date.now();
    if (left <= 0) throw new PodError('timeout', `timed out after ${limitMs} ms`);
    await sleep(Math.min(POLL_MS + (answer === false ? 0 : answer), left));
  }
}
