// `rkt run` (contract stage0 8.3). Runs in stage0, which becomes stage1.

import { createLogger } from '@rkt/diagnostics/logger';

import type { Invocation, RunFlags } from '../cli/requests.ts';
import { launchPod } from '../launch/launch.ts';
import { checkMetadataService, registerIfAsked } from '../launch/metadata.ts';
import { movePod } from '../pod/pod.ts';
import { saveUuid } from '../pod/uuid-file.ts';
import { checkRunFlags } from '../prepare/checks.ts';
import { newPod } from '../prepare/new-pod.ts';

export async function run(invocation: Invocation<RunFlags>): Promise<number> {
  const { command, global, flags, apps, env } = invocation;
  checkRunFlags(flags, apps);
  const logger = createLogger({ prefix: command, debug: global.debug });
  // Before anything is fetched.
  await checkMetadataService(flags);
  const announce = (uuid: string): void => {
    if (flags.uuidFileSave !== undefined) saveUuid(flags.uuidFileSave, uuid);
  };
  const pod = await newPod(invocation, logger, { announce });
  const running = movePod(pod, 'run');
  const mdsToken = await registerIfAsked(running, flags);
  return launchPod(running, {
    flags,
    global,
    env,
    mdsToken,
    logger: createLogger({ prefix: 'stage0', debug: global.debug }),
  });
}
