// Gives each pod with user namespaces a range of user ids that no other pod of the data directory has (contract stage1
// 2.25). Runs in stage0, while a pod is prepared.

import { writeFileSync } from 'node:fs';

import { lockFile } from '@rkt/linux/file-lock';
import { type DataDir, uidRangesLockFile } from '@rkt/pod-layout/data-dir';
import { parseUidRange, printUidRange, UID_RANGE_COUNT, type UidRange } from '@rkt/pod-layout/files';
import { POD_FILE_MODE, type PodDir, privateUsersFile } from '@rkt/pod-layout/pod-paths';

import { recordsOfPods } from '../pod/all-pods.ts';
import { PrepareError } from './errors.ts';

/** Ranges are multiples of their size; the first belongs to the host, and the top bit of an id stays 0. */
const SLOTS = 0x7fff;

/**
 * Picks a range and records it in the pod, under a lock: nobody else picks meanwhile, and whoever picks later sees it.
 * `random` gives numbers from 0 to below 1. @throws PrepareError `not-supported` when every range is taken
 */
export function allocateUidRange(data: DataDir, pod: PodDir, random: () => number = Math.random): UidRange {
  using _lock = lockFile(uidRangesLockFile(data), { exclusive: true, wait: true, create: true, mode: 0o660 });
  const taken = new Set(
    recordsOfPods(data, privateUsersFile, parseUidRange).map(({ shift }) =>
      Math.floor(shift / UID_RANGE_COUNT),
    ),
  );
  const start = Math.floor(random() * SLOTS);
  for (let tried = 0; tried < SLOTS; tried += 1) {
    const slot = 1 + ((start + tried) % SLOTS);
    if (taken.has(slot)) continue;
    const range = { shift: slot * UID_RANGE_COUNT, count: UID_RANGE_COUNT };
    writeFileSync(privateUsersFile(pod), printUidRange(range), { mode: POD_FILE_MODE });
    return range;
  }
  throw new PrepareError('not-supported', 'every range of user ids is in use', {
    hint: 'remove pods with rkt gc',
  });
}
