// Tells whether a file is the one that was read before, so that its image need not be read again. Runs in stage0.

import { fstatSync } from 'node:fs';

import type { FileIdentity } from './rows.ts';

// A change in the same tick of the kernel's clock as the last one leaves no trace in the times of the file.
const CLOCK_TICK_NS = 20_000_000n;

/** The identity of the open file. */
export function fileIdentity(fd: number): FileIdentity {
  const { dev, ino, size, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
  // SQLite has signed integers.
  return { dev: BigInt.asIntN(64, dev), ino: BigInt.asIntN(64, ino), size, mtimeNs, ctimeNs };
}

/** Whether a file seen like this at `nowMs` could not change without its identity changing too. */
export function isSettled({ ctimeNs }: FileIdentity, nowMs: number): boolean {
  return BigInt(Math.floor(nowMs)) * 1_000_000n - ctimeNs > CLOCK_TICK_NS;
}

export function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return (
    a.dev === b.dev &&
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs
  );
}
