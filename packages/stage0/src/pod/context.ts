// Adds what was being done to an error that passes by. Runs in stage0.

import { CommandError } from '../cli/errors.ts';

/** The result of `work`; what it throws gets `context` as one more link of its chain. */
export function during<Result>(context: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw new CommandError(context, cause);
  }
}

/** As {@link during}, for work that takes its time. */
export async function duringAsync<Result>(context: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw new CommandError(context, cause);
  }
}
