// A lease on work that two processes should not do at the same time, such as importing one file: losing it costs
// nothing but double work, so a file with a date is lock enough. (What must hold for correctness is flocked.)
// Runs in stage0.

import { utimesSync } from 'node:fs';

import type { Options } from 'lockfile';

/** How long leases last. */
export interface LeaseTimes {
  /** A lease nobody renewed for this long belonged to a process that died. */
  readonly staleMs: number;
  /** After this long the work is done without the lease. */
  readonly patienceMs: number;
  readonly pollMs: number;
}

const TIMES: LeaseTimes = { staleMs: 10_000, patienceMs: 15 * 60_000, pollMs: 100 };

/**
 * Does `work` while holding the lease `file`, or without it when there is no getting it. `waiting` is called when
 * somebody else holds it. The lease is renewed while the event loop runs; work that keeps it busy calls `renew`.
 */
export async function withLease<Result>(
  file: string,
  waiting: () => void,
  work: (renew: () => void) => Promise<Result>,
  times: LeaseTimes = TIMES,
): Promise<Result> {
  const { default: lockfile } = await import('lockfile');
  const acquire = (options: Options): Promise<string | undefined> =>
    new Promise((resolve) => {
      lockfile.lock(file, { stale: times.staleMs, ...options }, (error) =>
        resolve((error as NodeJS.ErrnoException | null | undefined)?.code ?? undefined),
      );
    });
  let failure = await acquire({});
  if (failure === 'EEXIST') {
    waiting();
    failure = await acquire({ wait: times.patienceMs, pollPeriod: times.pollMs });
  }
  if (failure !== undefined) return work(() => undefined);
  const renew = renewer(file, times.staleMs / 4);
  const timer = setInterval(renew, times.staleMs / 4).unref();
  try {
    return await work(renew);
  } finally {
    clearInterval(timer);
    lockfile.unlockSync(file);
  }
}

// Changing any time of a file changes the one that lockfile looks at.
function renewer(file: string, everyMs: number): () => void {
  let renewed = Date.now();
  return () => {
    const now = Date.now();
    if (now - renewed < everyMs) return;
    renewed = now;
    try {
      utimesSync(file, now / 1000, now / 1000);
    } catch {
      // Taken away: somebody thought us dead.
    }
  };
}
