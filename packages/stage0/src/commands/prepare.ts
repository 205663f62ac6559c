// `rkt prepare` (contract stage0 8.3). Runs in stage0.

import { closeSync, openSync } from 'node:fs';

import { createLogger, writeStdout } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';

import type { Invocation, PrepareFlags } from '../cli/requests.ts';
import { type LockedPod, movePod } from '../pod/pod.ts';
import { checkPrepareFlags } from '../prepare/checks.ts';
import { newPod } from '../prepare/new-pod.ts';

export async function run(invocation: Invocation<PrepareFlags>): Promise<number> {
  const { command, global, flags, apps } = invocation;
  checkPrepareFlags(flags, apps);
  const logger = createLogger({ prefix: command, debug: global.debug });
  const pod = await newPod(invocation, logger, { durable: true });
  makeDurable(pod);
  movePod(pod, 'prepared').lock.release();
  writeStdout(`${pod.uuid}\n`);
  return 0;
}

// What is called prepared must still be whole after a power failure.
function makeDurable(pod: LockedPod): void {
  const fd = openSync(pod.dir, 'r');
  try {
    openKernel().syncFs(fd);
  } finally {
    closeSync(fd);
  }
}
