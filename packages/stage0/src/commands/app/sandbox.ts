// `rkt app sandbox` (contract stage0 8.20). Runs in stage0, which becomes stage1.

import { createLogger } from '@rkt/diagnostics/logger';
import { supportsMutablePods } from '@rkt/pod-layout/entrypoints';

import { CommandError, isCode } from '../../cli/errors.ts';
import type { Invocation, SandboxFlags } from '../../cli/requests.ts';
import { launchPod } from '../../launch/launch.ts';
import { PodError } from '../../pod/errors.ts';
import { movePod } from '../../pod/pod.ts';
import { saveUuid } from '../../pod/uuid-file.ts';
import { readStage1Annotations } from '../../pod/summary.ts';
import { newPod } from '../../prepare/new-pod.ts';

/** Exit status of every failure of this command. */
const EXIT_SANDBOX_FAILED = 1;

export async function run(invocation: Invocation<SandboxFlags>): Promise<number> {
  try {
    return await launchSandbox(invocation);
  } catch (error) {
    const { message, cause } = error as Error;
    if (isCode(error, 'command-failed'))
      throw new CommandError(message, cause, { status: EXIT_SANDBOX_FAILED });
    throw new CommandError('error running the sandbox', error, { status: EXIT_SANDBOX_FAILED });
  }
}

async function launchSandbox(invocation: Invocation<SandboxFlags>): Promise<number> {
  const { command, global, flags, env } = invocation;
  const logger = createLogger({ prefix: command, debug: global.debug });
  const announce = (uuid: string): void => {
    if (flags.uuidFileSave !== undefined) saveUuid(flags.uuidFileSave, uuid);
  };
  const pod = await newPod(invocation, logger, { announce });
  if (!supportsMutablePods(readStage1Annotations(pod.dir))) {
    throw new PodError('stage1', 'stage1 does not support mutable pods', {
      hint: 'use a stage1 image with the entry points app/add, app/rm, app/start and app/stop',
    });
  }
  return launchPod(movePod(pod, 'run'), {
    flags,
    global,
    env,
    mutable: true,
    logger: createLogger({ prefix: 'stage0', debug: global.debug }),
  });
}
