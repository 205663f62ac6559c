// The one program of the kvm image. Runs on the host.

import { runProgram } from '@rkt/stage1-base/program';

void runProgram(
  process,
  {
    init: async (call) => (await import('../init.ts')).init(call),
    enter: async (call) => (await import('../enter.ts')).enter(call),
    gc: async (call) => (await import('../gc.ts')).gc(call),
    stop: async (call) => (await import('../stop.ts')).stop(call),
  },
  // As rkt 1.30 printed it (contract, conventions).
  { prefixes: { init: 'stage1', gc: 'stage1 gc' } },
);
