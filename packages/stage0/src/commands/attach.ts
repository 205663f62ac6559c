// `rkt attach` (contract stage0 8.19). Runs in stage0, which becomes stage1's attach program.

import { writeStderr } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { execProgram } from '@rkt/linux/exec';
import {
  ATTACH_PARTS,
  type AttachArguments,
  type AttachPart,
  crossingEnvironment,
  printAttachArguments,
} from '@rkt/pod-layout/crossing';
import { treeDir, treeRootfs } from '@rkt/pod-layout/data-dir';
import { findEntryPoint } from '@rkt/pod-layout/entrypoints';
import { stage1Root } from '@rkt/pod-layout/pod-paths';
import { onHost } from '@rkt/pod-layout/stage1-paths';

import { CommandError } from '../cli/errors.ts';
import type { AttachFlags, Invocation } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { chooseApp } from '../pod/choose-app.ts';
import { during, duringAsync } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { resolvePod } from '../pod/find.ts';
import { stage1TreeId } from '../pod/record.ts';
import { readStage1Annotations, summarizeManifest } from '../pod/summary.ts';
import { waitForInit } from '../pod/wait.ts';

export async function run({ global, flags, args, env }: Invocation<AttachFlags>): Promise<number> {
  const wanted = during('invalid attach mode', () => parseMode(flags.mode));
  const data = await resolveDataDir(global);
  const pod = during('problem retrieving pod', () => resolvePod(data, args[0] ?? ''));
  if (pod.phase !== 'running')
    throw new PodError('wrong-state', `pod ${quote(pod.uuid)} isn't currently running`);
  const { apps } = during('cannot read pod manifest', () => summarizeManifest(pod.dir));
  const names = apps.map(({ name }) => name);
  const app = during('unable to determine app name', () =>
    chooseApp(names, flags.app, 'attach', writeStderr),
  );
  const annotations = readStage1Annotations(pod.dir);
  const entry = during('attach failed', () => findEntryPoint(annotations, 'attach'));
  const init = await duringAsync('unable to determine the pid of the pod', () => waitForInit(pod));
  // The program comes from the tree store: the pod cannot have replaced it there.
  const tree = stage1Root(treeRootfs(treeDir(data, stage1TreeId(pod.dir))));
  const program = onHost(tree, entry);
  const environment = crossingEnvironment(
    tree,
    findEntryPoint(annotations, 'enter'),
    init,
    env['PATH'] || undefined,
  );
  process.chdir(pod.dir);
  try {
    const words = printAttachArguments({ ...wanted, app, debug: global.debug });
    return execProgram(program, [program, ...words], environment, { keepOpen: [] });
  } catch (cause) {
    throw new CommandError('attach failed', cause);
  }
}

/** What --mode asks for. @throws PodError `bad-flag` */
export function parseMode(mode: string): Pick<AttachArguments, 'action' | 'parts'> {
  if (mode === '' || mode === 'auto') return { action: 'auto-attach', parts: [] };
  if (mode === 'list') return { action: 'list', parts: [] };
  const parts = new Set(mode.split(',').flatMap(partsOf));
  const onTerminal = parts.has('tty-in') || parts.has('tty-out');
  if (onTerminal && [...parts].some((part) => !part.startsWith('tty'))) {
    throw new PodError(
      'bad-flag',
      `incompatible endpoints ${quote(mode)}, cannot simultaneously attach TTY and streams`,
    );
  }
  return { action: 'custom-attach', parts: ATTACH_PARTS.filter((part) => parts.has(part)) };
}

function partsOf(word: string): AttachPart[] {
  if (word === 'tty') return ['tty-in', 'tty-out'];
  const part = ATTACH_PARTS.find((each) => each === word);
  if (part === undefined) throw new PodError('bad-flag', `unknown endpoint ${quote(word)}`);
  return [part];
}
