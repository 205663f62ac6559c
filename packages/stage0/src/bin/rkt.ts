#!/usr/bin/env node
// The rkt command: the only place of stage0 that reads the process. Everything else is loaded when it is needed.

import { main } from '@rkt/diagnostics/exit';

// Modes are explicit wherever something is created (contract stage0 2.6).
process.umask(0);

void main('rkt', process.argv.includes('--debug'), async () => {
  const { runCli } = await import('../cli/main.ts');
  return await runCli({
    argv: process.argv.slice(2),
    env: { ...process.env } as Record<string, string>,
    cwd: () => process.cwd(),
    euid: () => process.geteuid?.() ?? 0,
  });
});
