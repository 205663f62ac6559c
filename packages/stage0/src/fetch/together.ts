// Work on several things at the same time whose results count in their order: as one after the other, only sooner.
// Pure; runs in stage0.

import { FetchError } from './errors.ts';

// Enough to fill a line, few enough for one host not to mind.
const AT_ONCE = 4;

/** What the work on one item may need of the others. */
export interface Turn {
  /** Ends the work: a failure that counts more made it useless. */
  readonly signal: AbortSignal;
  /** Settles when the results of all items before were delivered, or will not be. */
  readonly earlier: Promise<void>;
}

/**
 * Does `work` for all `items`, a few at a time, and hands the results to `deliver` in the order of the items. The first
 * failure in that order is thrown, after what comes later was told to end and has ended.
 */
export async function together<Item, Result>(
  items: readonly Item[],
  work: (item: Item, turn: Turn) => Promise<Result>,
  deliver: (result: Result) => void | Promise<void>,
): Promise<void> {
  const jobs = items.map((item) => ({
    item,
    controller: new AbortController(),
    outcome: Promise.withResolvers<Result>(),
    delivered: Promise.withResolvers<void>(),
  }));
  const cancelFrom = (index: number): void => {
    for (const { controller } of jobs.slice(index)) controller.abort();
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < jobs.length; index = next++) {
      const job = jobs[index];
      if (job === undefined) return;
      const { signal } = job.controller;
      try {
        if (signal.aborted) throw new FetchError('cancelled', 'cancelled');
        const earlier = jobs[index - 1]?.delivered.promise ?? Promise.resolve();
        job.outcome.resolve(await work(job.item, { signal, earlier }));
      } catch (error) {
        job.outcome.reject(error);
        cancelFrom(index + 1);
      }
    }
  };
  // Whoever fails later than the one that counts is not heard.
  for (const { outcome } of jobs) outcome.promise.catch(() => undefined);
  const workers = Array.from({ length: Math.min(AT_ONCE, jobs.length) }, worker);
  try {
    for (const { outcome, delivered } of jobs) {
      await deliver(await outcome.promise);
      delivered.resolve();
    }
  } finally {
    cancelFrom(0);
    for (const { delivered } of jobs) delivered.resolve();
    await Promise.all(workers);
  }
}
