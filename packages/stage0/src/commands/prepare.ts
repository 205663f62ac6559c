// `rkt prepare` (contract stage0 8.3). Runs in stage0.

import { createLogger, writeStdout } from '@rkt/diagnostics/logger';

import type { Invocation, PrepareFlags } from '../cli/requests.ts';
import { movePod } from '../pod/pod.ts';
import { checkPrepareFlags } from '../prepare/checks.ts';
import { makeDurable } from '../prepare/durable.ts';
import { newPod } from '../prepare/new-pod.ts';

export async function run(invocation: Invocation<PrepareFlags>): Promise<number> {
  const { command, global, flags, apps } = invocation;
  checkPrepareFlags(flags, apps);
  const logger = createLogger({ prefix: command, debug: global.debug });
  const pod = await newPod(invocation, logger);
  makeDurable(pod.dir);
  movePod(pod, 'prepared').lock.release();
  writeStdout(`${pod.uuid}\n`);
  return 0;
}
