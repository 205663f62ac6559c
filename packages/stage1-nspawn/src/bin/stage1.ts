// The one program of the nspawn image: init, enter, gc, stop and app-*, chosen by the name it is called by. Runs on the host.

import { basename } from 'node:path';

import { main } from '@rkt/diagnostics/exit';
import { createLogger } from '@rkt/diagnostics/logger';

import type { EntryPointCall } from '../entry-point.ts';

/** Prefix of what each program prints (contract, conventions). */
const PREFIXES: Readonly<Record<string, string>> = { init: 'stage1', gc: 'stage1 gc' };

const name = basename(process.argv0);
const prefix = PREFIXES[name] ?? name;
const debug = process.argv.includes('--debug') || process.argv.includes('--debug=true');

void main(prefix, debug, async () => {
  // Modes are explicit.
  process.umask(0);
  const call: EntryPointCall = {
    args: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    pid: process.pid,
    program: process.argv0,
    logger: createLogger({ prefix, debug }),
  };
  switch (name) {
    case 'init':
      return (await import('../init.ts')).init(call);
    case 'enter':
      return (await import('../enter.ts')).enter(call);
    case 'gc':
      return (await import('../gc.ts')).gc(call);
    case 'stop':
      return (await import('../stop.ts')).stop(call);
    case 'app-add':
      return (await import('../app-add.ts')).appAdd(call);
    case 'app-rm':
      return (await import('../app-rm.ts')).appRm(call);
    case 'app-start':
      return (await import('../app-start.ts')).appStart(call);
    case 'app-stop':
      return (await import('../app-start.ts')).appStop(call);
    default:
      throw new Error(`called as ${name}, which is no entry point of this image`);
  }
});
