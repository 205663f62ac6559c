// The one program of the fly image: run, enter, gc, stop and stage2, chosen by the name it is called by.

import { basename } from 'node:path';

import { main } from '@rkt/diagnostics/exit';
import { createLogger } from '@rkt/diagnostics/logger';

import type { EntryPointCall } from '../run.ts';

/** Prefix of what each program prints (contract, conventions). */
const PREFIXES: Readonly<Record<string, string>> = { enter: 'fly-enter' };

const name = basename(process.argv0);
const prefix = PREFIXES[name] ?? name;
const debug = process.argv.includes('--debug');

void main(prefix, debug, async () => {
  // Modes are explicit; the app gets a mask of its own.
  process.umask(0);
  const call: EntryPointCall = {
    args: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    pid: process.pid,
    logger: createLogger({ prefix, debug }),
  };
  switch (name) {
    case 'run':
      return (await import('../run.ts')).run(call);
    case 'enter':
      return (await import('../enter.ts')).enter(call);
    case 'gc':
      return (await import('../gc.ts')).gc(call);
    case 'stop':
      return (await import('../stop.ts')).stop(call);
    case 'stage2':
      return (await import('@rkt/stage2/exec-app')).execApp(call.args);
    default:
      throw new Error(`called as ${name}, which is none of run, enter, gc, stop and stage2`);
  }
});
