// `rkt enter` (contract stage0 8.11, 8.18). Runs in stage0, which becomes stage1's enter program.

import { createLogger, writeStderr } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { execProgram } from '@rkt/linux/exec';
import { treeDir, treeRootfs } from '@rkt/pod-layout/data-dir';
import { findEntryPoint, printEnterArguments } from '@rkt/pod-layout/entrypoints';
import { stage1Root } from '@rkt/pod-layout/pod-paths';
import { onHost } from '@rkt/pod-layout/stage1-paths';

import type { EnterFlags, Invocation } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { chooseApp } from '../pod/choose-app.ts';
import { during, duringAsync } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { resolvePod } from '../pod/find.ts';
import { readStage1Annotations, summarizeManifest } from '../pod/summary.ts';
import { stage1TreeId } from '../pod/record.ts';
import { waitForInit } from '../pod/wait.ts';

const DEFAULT_COMMAND = '/bin/bash';

export async function run({
  command: verb,
  global,
  flags,
  args,
  env,
}: Invocation<EnterFlags>): Promise<number> {
  const [argument = '', ...given] = args;
  const logger = createLogger({ prefix: verb, debug: global.debug });
  const data = await resolveDataDir(global);
  const pod = during('problem retrieving pod', () => resolvePod(data, argument));
  if (pod.phase !== 'running')
    throw new PodError('wrong-state', `pod ${quote(pod.uuid)} isn't currently running`);
  const { apps } = during('cannot read pod manifest', () => summarizeManifest(pod.dir));
  const names = apps.map(({ name }) => name);
  const app = during('unable to determine app name', () => chooseApp(names, flags.app, 'enter', writeStderr));
  if (given.length === 0) logger.info(`no command specified, assuming ${quote(DEFAULT_COMMAND)}`);
  const command = given.length === 0 ? [DEFAULT_COMMAND] : given;
  const pid = await duringAsync('unable to determine the pid of the pod', () => waitForInit(pod));
  // The program comes from the tree store: the pod cannot have replaced it there.
  const tree = stage1Root(treeRootfs(treeDir(data, stage1TreeId(pod.dir))));
  const program = onHost(tree, findEntryPoint(readStage1Annotations(pod.dir), 'enter'));
  process.chdir(pod.dir);
  return execProgram(program, [program, ...printEnterArguments({ pid, app, command })], env, {
    keepOpen: [],
  });
}
