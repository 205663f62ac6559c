// `rkt gc` (contract stage0 8.17). Runs in stage0.

import { createLogger } from '@rkt/diagnostics/logger';

import type { GcFlags, Invocation } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { collectGarbage } from '../gc/gc.ts';
import { ensurePodDirectories } from '../pod/pod.ts';

export async function run({ command, global, flags, env }: Invocation<GcFlags>): Promise<number> {
  const data = await resolveDataDir(global);
  ensurePodDirectories(data);
  await collectGarbage(data, flags, {
    global,
    env,
    logger: createLogger({ prefix: command, debug: global.debug }),
  });
  return 0;
}
