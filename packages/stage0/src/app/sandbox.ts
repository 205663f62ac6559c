// A pod whose apps change while it runs: found, locked, its manifest read and replaced (contract stage0 8.20; stage1
// 8.4). Runs in stage0.

import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { lockFile } from '@rkt/linux/file-lock';
import { isMutable } from '@rkt/pod-layout/entrypoints';
import {
  nextPodManifestFile,
  type PodDir,
  podManifestFile,
  podMutationLock,
} from '@rkt/pod-layout/pod-paths';
import { parsePodManifest, type PodManifest, serializePodManifest } from '@rkt/spec/pod-manifest';

import type { GlobalFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { during } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { resolvePod } from '../pod/find.ts';
import { findPod, type PodSnapshot, syncPath } from '../pod/pod.ts';
import { isReady, statusRoot } from '../pod/record.ts';

/** The pod that `argument` means. @throws CommandError */
export async function findAppPod(global: GlobalFlags, argument: string | undefined): Promise<PodSnapshot> {
  if (argument === undefined) throw new PodError('bad-uuid', 'must provide the pod UUID');
  const data = await resolveDataDir(global);
  return during('problem retrieving pod', () => resolvePod(data, argument));
}

/** @throws PodError `wrong-state` unless the pod runs and its supervisor can be spoken to */
export function requireReady(pod: PodSnapshot): void {
  if (pod.phase !== 'running')
    throw new PodError('wrong-state', `pod ${quote(pod.uuid)} isn't currently running`);
  if (!isReady(statusRoot(pod.dir))) {
    throw new PodError('wrong-state', `supervisor for pod ${quote(pod.uuid)} is not yet ready`, {
      hint: '`rkt status --wait-ready` waits for it',
    });
  }
}

/** The pod as it is once nobody else changes its apps; that lasts until it is disposed of. */
export interface LockedSandbox extends Disposable {
  readonly pod: PodSnapshot;
  readonly manifest: PodManifest;
}

/**
 * Waits until no other command changes the apps of the pod, and keeps them from it.
 * @throws PodError `wrong-state` for a pod whose apps cannot change
 */
export function lockSandbox(pod: PodSnapshot): LockedSandbox {
  const lock = lockFile(podMutationLock(pod.dir), { exclusive: true, wait: true, create: true });
  try {
    // It may have ended and been moved while we waited.
    const now = findPod(pod.data, pod.uuid);
    if (now === undefined) throw new PodError('gone', `pod ${quote(pod.uuid)} is gone`);
    const manifest = parsePodManifest(readFileSync(podManifestFile(now.dir), 'utf8'));
    if (!isMutable(manifest.annotations)) {
      throw new PodError('wrong-state', 'immutable pod', {
        hint: 'apps come and go in pods of `rkt app sandbox`',
      });
    }
    return { pod: now, manifest, [Symbol.dispose]: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Replaces the manifest of the pod at once: whoever reads it sees the old one or the new. */
export function replaceManifest(pod: PodDir, manifest: PodManifest): void {
  const file = podManifestFile(pod);
  const beside = nextPodManifestFile(pod);
  const { mode } = statSync(file);
  rmSync(beside, { force: true });
  const fd = openSync(beside, 'wx', mode & 0o7777);
  try {
    writeFileSync(fd, serializePodManifest(manifest));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(beside, file);
  syncPath(pod);
}

/** @throws PodError `app-not-found` */
export function requireApp({ manifest }: LockedSandbox, name: string): void {
  if (!manifest.apps.some((app) => app.name === name)) {
    throw new PodError('app-not-found', `error: nonexistent app ${quote(name)}`);
  }
}
