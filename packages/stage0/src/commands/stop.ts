// `rkt stop` (contract stage0 8.17). Runs in stage0.

import { createLogger, writeStderr, writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { isAfterRun } from '@rkt/pod-layout/lifecycle';

import { failureText } from '../cli/failure.ts';
import type { Invocation, StopFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { during, duringAsync } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { readUuidFile, resolvePod } from '../pod/find.ts';
import { stopPod } from '../pod/stop.ts';

const EXIT_UNREADABLE_UUID_FILE = 1;

export async function run({ command, global, flags, args, env }: Invocation<StopFlags>): Promise<number> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const data = await resolveDataDir(global);
  const uuids =
    flags.uuidFile === undefined ? args : [readUuidFile(flags.uuidFile, EXIT_UNREADABLE_UUID_FILE)];
  let failed = 0;
  for (const argument of uuids) {
    try {
      writeStdout(`${await stopOne(data, argument, flags.force, env)}\n`);
    } catch (error) {
      writeStderr(`${failureText(error, command, global.debug)}\n`);
      failed += 1;
    }
  }
  if (failed === 0) return 0;
  logger.info(`failed to stop ${failed} pod(s)`);
  return EXIT_FAILURE;
}

// What to tell the user about one pod that is stopped now.
async function stopOne(
  data: DataDir,
  argument: string,
  force: boolean,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const pod = during('cannot get pod', () => resolvePod(data, argument));
  if (isAfterRun(pod.phase)) return `pod ${quote(pod.uuid)} is already stopped`;
  if (pod.phase !== 'running') throw new PodError('wrong-state', `pod ${quote(pod.uuid)} is not running`);
  await duringAsync(`error stopping ${quote(pod.uuid)}`, () => stopPod(pod, force, env));
  return quote(pod.uuid);
}
