// `rkt metadata-service` (contract stage0 8.21, stage1 6). Runs in a process of its own until it is told to end.

import { createLogger } from '@rkt/diagnostics/logger';

import type { Invocation, MetadataServiceFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { startService } from '../metadata-service/service.ts';

/** How long requests under way may take when the service is told to end, in milliseconds. */
const GRACE_MS = 3000;

export async function run({
  command,
  global,
  flags,
  env,
}: Invocation<MetadataServiceFlags>): Promise<number> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const toldToEnd = endSignal();
  logger.info('metadata service starting...');
  const service = await startService({
    port: flags.listenPort,
    address: flags.listenAddress,
    data: await resolveDataDir(global),
    env,
    logger,
  });
  logger.info('metadata service running...');
  try {
    await Promise.race([toldToEnd, service.failed]);
  } finally {
    logger.info('metadata service exiting...');
    await service.close(GRACE_MS);
  }
  return 0;
}

// The second signal ends the process as if nobody had asked for the first.
function endSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
