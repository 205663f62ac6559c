// The one way a program of ours ends: an exit status from data, errors printed once. Used by src/bin/*, in stage1 through
// @rkt/stage1-base/program.

import { formatError } from './format.ts';
import { writeStderr } from './logger.ts';

/** Exit status of every failure that has no status of its own (contract stage0 1.6). */
export const EXIT_FAILURE = 254;

/**
 * Runs `program` and exits with the status it returns, whatever else is open: by then all is written and done, and to
 * take the heap apart first would cost some milliseconds. An error that reaches this far is printed with `prefix` and
 * becomes {@link EXIT_FAILURE}, also when it comes from a promise nobody awaited.
 */
export async function main(
  prefix: string,
  debug: boolean,
  program: () => number | Promise<number>,
): Promise<void> {
  const fail = (error: unknown): void => {
    writeStderr(`${formatError(error, { prefix, debug })}\n`);
    process.exit(EXIT_FAILURE);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  try {
    process.exit(await program());
  } catch (error) {
    fail(error);
  }
}
