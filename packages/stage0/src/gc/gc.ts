// Garbage collection of pods: mark what has ended, sweep what has been marked for long enough
// (contract stage0 8.17). Runs in stage0.

import { availableParallelism } from 'node:os';

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import type { PodDirectoryName } from '@rkt/pod-layout/lifecycle';

import type { GcFlags } from '../cli/requests.ts';
import { formatDuration } from '../cli/duration.ts';
import { walkPods } from '../pod/find.ts';
import { isMissing, type LockedPod, movePod, type PodSnapshot, takePod } from '../pod/pod.ts';
import { markedAt } from '../pod/record.ts';
import { removePod, type RemovalContext } from './pod-removal.ts';

/** Collects garbage. A pod that cannot be deleted is reported and left for the next time. */
export async function collectGarbage(data: DataDir, flags: GcFlags, context: RemovalContext): Promise<void> {
  const { logger } = context;
  const mark = (
    from: PodDirectoryName,
    to: PodDirectoryName,
    isDue: (pod: PodSnapshot) => boolean,
    what: string,
  ): void => {
    for (const pod of walkPods(data, [from], logger)) {
      if (isDue(pod))
        markPod(pod, to, () => logger.info(`moving ${what} ${quote(pod.uuid)} to garbage`), context);
    }
  };
  mark('run', 'exited-garbage', ({ phase }) => phase === 'exited', 'pod');
  mark('embryo', 'garbage', () => true, 'failed prepare');
  mark('prepare', 'garbage', ({ phase }) => phase === 'aborted prepare', 'failed prepare');
  if (flags.markOnly) return;
  const expired = (pod: PodSnapshot): boolean => ageMs(pod) >= flags.expirePreparedMs;
  mark('prepared', 'garbage', expired, 'expired prepared pod');
  await sweep(data, 'exited-garbage', flags.gracePeriodMs, context);
  await sweep(data, 'garbage', 0, context);
}

/** Moves an unlocked pod towards deletion, unless somebody else just took it. */
export function markPod(
  pod: PodSnapshot,
  to: PodDirectoryName,
  announce: () => void,
  { logger }: RemovalContext,
): void {
  try {
    const taken = takePod(pod.data, pod.uuid, pod.directory);
    if (taken === undefined) return;
    announce();
    movePod(taken, to);
    taken.lock.release();
  } catch (error) {
    if (!isMissing(error)) logger.error(`cannot move pod ${quote(pod.uuid)}`, error);
  }
}

async function sweep(
  data: DataDir,
  directory: PodDirectoryName,
  graceMs: number,
  context: RemovalContext,
): Promise<void> {
  const { logger } = context;
  const due: PodSnapshot[] = [];
  for (const pod of walkPods(data, [directory], logger)) {
    if (ageMs(pod) >= graceMs) due.push(pod);
    else
      logger.info(
        `pod ${quote(pod.uuid)} not removed: still within grace period (${formatDuration(graceMs)})`,
      );
  }
  // While this thread waits for the kernel to unmount one pod, the stage1 gc of others should keep all processors busy.
  const workers = Array.from({ length: 2 * availableParallelism() }, async () => {
    for (let pod = due.shift(); pod !== undefined; pod = due.shift()) await sweepPod(pod, context);
  });
  await Promise.all(workers);
}

async function sweepPod(pod: PodSnapshot, context: RemovalContext): Promise<void> {
  let taken: LockedPod | undefined;
  try {
    taken = takePod(pod.data, pod.uuid, pod.directory);
    if (taken === undefined) return;
    writeStdout(`Garbage collecting pod ${quote(pod.uuid)}\n`);
    await removePod(taken, context);
  } catch (error) {
    if (!isMissing(error)) context.logger.error(`unable to remove pod ${quote(pod.uuid)}`, error);
  } finally {
    taken?.lock.release();
  }
}

function ageMs(pod: PodSnapshot): number {
  try {
    // The clock that stamps files has finer ticks than this one, and either may be set back: never less than nothing.
    return Math.max(0, Date.now() - markedAt(pod.dir));
  } catch (error) {
    if (isMissing(error)) return -1;
    throw error;
  }
}
