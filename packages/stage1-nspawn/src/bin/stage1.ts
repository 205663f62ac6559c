// The one program of the nspawn image. Runs on the host.

import { runProgram } from '@rkt/stage1-base/program';

void runProgram(
  process,
  {
    init: async (call) => (await import('../init.ts')).init(call),
    enter: async (call) => (await import('../enter.ts')).enter(call),
    gc: async (call) => (await import('../gc.ts')).gc(call),
    stop: async (call) => (await import('../stop.ts')).stop(call),
    attach: async (call) => (await import('../attach.ts')).attach(call),
    'app-add': async (call) => (await import('../app-add.ts')).appAdd(call),
    'app-rm': async (call) => (await import('../app-rm.ts')).appRm(call),
    'app-start': async (call) => (await import('../app-start.ts')).appStart(call),
    'app-stop': async (call) => (await import('../app-start.ts')).appStop(call),
  },
  {
    // As rkt 1.30 printed it (contract, conventions).
    prefixes: { init: 'stage1', gc: 'stage1 gc', attach: 'stage1-attach' },
    oneThread: 'init',
  },
);
