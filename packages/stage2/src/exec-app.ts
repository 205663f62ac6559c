// `stage2 FILE`: becomes the process that FILE describes (app-process.ts). For what systemd cannot express; runs
// inside the pod, as the main process of an app's unit.

import { readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';

import { parseAppProcess } from './app-process.ts';
import { Stage2Error } from './errors.ts';
import { launchApp } from './launch-app.ts';

/** Runs the shim with the words after its name. */
export function execApp(args: readonly string[]): number {
  const [file] = args;
  if (file === undefined || args.length !== 1) throw new Stage2Error('bad-spec', 'usage: stage2 FILE');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Stage2Error('bad-spec', `unable to read process description ${quote(file)}`, { cause });
  }
  return launchApp(parseAppProcess(text));
}
