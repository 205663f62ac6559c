// Parses one command line in tests of the command line. Runs in tests only.

import assert from 'node:assert/strict';

import { errorChain } from '@rkt/diagnostics/rkt-error';

import type { CommandSpec } from '../command.ts';
import { finishInvocation, parseOwnFlags } from '../parse.ts';
import type { Invocation, RunFlags } from '../requests.ts';
import * as launch from '../specs/launch.ts';

/** What a command would get, and what the user would read. */
export type ParsedLine<Flags> = Invocation<Flags> & {
  readonly notes: readonly string[];
  readonly help: boolean;
};

/** Parses `argv` for a command, in the directory `/work dir`. */
export async function parse<Flags = unknown>(
  spec: CommandSpec,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<ParsedLine<Flags>> {
  const notes: string[] = [];
  const context = { env, cwd: () => '/work dir', note: (line: string) => void notes.push(line) };
  const parsed = await parseOwnFlags(spec, argv, context);
  const { invocation, help } = finishInvocation(spec, 'x', parsed, context);
  return { ...(invocation as Invocation<Flags>), notes, help: help || parsed.help };
}

/** Parses the line of a `rkt run`, split at blanks. */
export function run(line: string, env?: Record<string, string>): Promise<ParsedLine<RunFlags>> {
  return parse<RunFlags>(launch.run, line === '' ? [] : line.split(' '), env);
}

/** All messages of the error that `work` fails with, outermost first. */
export async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return errorChain(error)
      .map(({ message }) => message)
      .join(': ');
  }
  return assert.fail('no error');
}
