// The one program of a stage1 image: its entry points are names of the same file, and the name it is called by chooses.
// Runs on the host, as the outermost function of src/bin/stage1.ts.

import { basename } from 'node:path';

import { main } from '@rkt/diagnostics/exit';
import { createLogger } from '@rkt/diagnostics/logger';

import type { EntryPointCall } from './entry-point.ts';

/** One entry point; the number is its exit status, should it not have become another program. */
export type EntryPoint = (call: EntryPointCall) => number | Promise<number>;

/** What the programs of an image are, beside their entry points. */
export interface ProgramOptions {
  /** What an entry point puts before its messages, where it is not its name. */
  readonly prefixes?: Readonly<Record<string, string>>;
  /**
   * The entry point that becomes another program while it waits for a cgroup to be joined. One thread of libuv is enough
   * to wait in, and each has to be ended by execve.
   */
  readonly oneThread?: string;
}

/** Runs the entry point that `program`, this process, was called by the name of, and ends with its status. */
export async function runProgram(
  program: NodeJS.Process,
  entryPoints: Readonly<Record<string, EntryPoint>>,
  { prefixes = {}, oneThread }: ProgramOptions = {},
): Promise<void> {
  const { argv0, argv, env, pid } = program;
  const name = basename(argv0);
  const prefix = prefixes[name] ?? name;
  const debug = argv.includes('--debug') || argv.includes('--debug=true');
  await main(prefix, debug, () => {
    const entryPoint = entryPoints[name];
    if (entryPoint === undefined) throw new Error(`called as ${name}, which is no entry point of this image`);
    // Modes are explicit; an app gets a mask of its own.
    program.umask(0);
    const call: EntryPointCall = {
      args: argv.slice(2),
      env: { ...env },
      cwd: program.cwd(),
      pid,
      program: argv0,
      logger: createLogger({ prefix, debug }),
    };
    // libuv reads this at the first use of its threads. The variable is this process's alone.
    if (name === oneThread) env['UV_THREADPOOL_SIZE'] = '1';
    return entryPoint(call);
  });
}
