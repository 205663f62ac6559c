// The scratch directory of the store: what a killed process left there is deleted, what is in use is locked.
// Runs in stage0.

import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { lockDirectory, lockFile } from '@rkt/linux/file-lock';
import { withKernelErrors } from '@rkt/linux/errno';
import { casTmpDir, type DataDir } from '@rkt/pod-layout/data-dir';

import { removeDirectory } from '../treestore/remove-directory.ts';

// Between making a file and locking it.
const UNLOCKED_MS = 60_000;

/** Something in the scratch directory that nobody holds any more; locked while it is looked at. */
export interface Abandoned {
  readonly name: string;
  /** Deletes it. @throws KernelError */
  remove(): void;
}

/** Deletes what nobody holds: interrupted downloads after `gracePeriodMs`, as they may be resumed; the rest at once. */
export function cleanScratch(data: DataDir, gracePeriodMs: number, now: number = Date.now()): void {
  for (const abandoned of abandonedScratch(data, gracePeriodMs, now)) abandoned.remove();
}

/** What {@link cleanScratch} would delete. */
export function* abandonedScratch(
  data: DataDir,
  gracePeriodMs: number,
  now: number = Date.now(),
): Generator<Abandoned, void, undefined> {
  const directory = casTmpDir(data);
  for (const name of namesIn(directory)) {
    const file = path.join(directory, name);
    const status = statSync(file, { throwIfNoEntry: false });
    if (status === undefined) continue;
    const grace = name.startsWith('sha512-') ? Math.max(gracePeriodMs, UNLOCKED_MS) : UNLOCKED_MS;
    if (now - status.mtimeMs < grace) continue;
    using lock = status.isDirectory()
      ? lockDirectory(file, { exclusive: true, wait: false })
      : lockFile(file, { exclusive: true, wait: false });
    if (lock === undefined) continue;
    yield {
      name,
      remove: () => {
        if (status.isDirectory()) removeDirectory(file);
        else withKernelErrors(file, () => rmSync(file, { force: true }));
      },
    };
  }
}

function namesIn(directory: string): string[] {
  try {
    return withKernelErrors(directory, () => readdirSync(directory));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
