// `rkt rm` (contract stage0 8.17). Runs in stage0.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { createLogger, writeStderr, writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import type { PodPhase } from '@rkt/pod-layout/lifecycle';

import { failureText } from '../cli/failure.ts';
import type { Invocation, RmFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { removePod, type RemovalContext } from '../gc/pod-removal.ts';
import { during } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { readUuidFile, resolvePod } from '../pod/find.ts';
import { type LockedPod, movePod, takePod } from '../pod/pod.ts';

const BUSY: Partial<Record<PodPhase, string>> = {
  running: 'running',
  embryo: 'being prepared',
  preparing: 'being prepared',
  deleting: 'being deleted',
  'exited deleting': 'being deleted',
};

export async function run({ command, global, flags, args, env }: Invocation<RmFlags>): Promise<number> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const uuids = flags.uuidFile === undefined ? args : [readUuidFile(flags.uuidFile)];
  const data = await resolveDataDir(global);
  let failed = false;
  for (const argument of uuids) {
    try {
      writeStdout(`${quote(await removeOne(data, argument, { global, env, logger }))}\n`);
    } catch (error) {
      writeStderr(`${failureText(error, command, global.debug)}\n`);
      failed = true;
    }
  }
  if (!failed) return 0;
  logger.info('failed to remove one or more pods');
  return EXIT_FAILURE;
}

async function removeOne(data: DataDir, argument: string, context: RemovalContext): Promise<string> {
  const pod = takeForRemoval(data, argument, context);
  try {
    await removePod(pod, context);
  } finally {
    pod.lock.release();
  }
  return pod.uuid;
}

// The pod, locked, in the directory of those that are deleted.
function takeForRemoval(data: DataDir, argument: string, { logger }: RemovalContext): LockedPod {
  const { uuid, directory, phase } = during('cannot get pod', () => resolvePod(data, argument));
  const busy = BUSY[phase];
  const taken = busy === undefined ? takePod(data, uuid, directory) : undefined;
  if (taken === undefined) {
    throw new PodError('busy', `pod ${quote(uuid)} is currently ${busy ?? 'used by another process'}`);
  }
  switch (phase) {
    case 'aborted prepare':
      logger.info(`moving failed prepare ${quote(uuid)} to garbage`);
      return movePod(taken, 'garbage');
    case 'prepared':
      logger.info(`moving expired prepared pod ${quote(uuid)} to garbage`);
      return movePod(taken, 'garbage');
    case 'exited':
      return movePod(taken, 'exited-garbage');
    default:
      return taken;
  }
}
