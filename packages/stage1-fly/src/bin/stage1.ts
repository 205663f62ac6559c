// The one program of the fly image.

import { runProgram } from '@rkt/stage1-base/program';

void runProgram(
  process,
  {
    run: async (call) => (await import('../run.ts')).run(call),
    enter: async (call) => (await import('../enter.ts')).enter(call),
    gc: async (call) => (await import('../gc.ts')).gc(call),
    stop: async (call) => (await import('../stop.ts')).stop(call),
    stage2: async ({ args }) => (await import('@rkt/stage2/exec-app')).execApp(args),
  },
  // As rkt 1.30 printed it (contract, conventions).
  { prefixes: { enter: 'fly-enter' }, oneThread: 'run' },
);
