// The enter entry point: runs a command beside the app. Becomes the command. Working directory P.

import { CLONE_NEWNS } from '@rkt/linux/constants';
import { parseEnterArguments } from '@rkt/pod-layout/entrypoints';
import { enterApp } from '@rkt/stage1-base/enter-app';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { loadPod } from '@rkt/stage1-base/load-pod';

/** Becomes the command; returns an exit status only when it cannot be executed. @throws RktError */
export function enter({ args, env, cwd }: EntryPointCall): Promise<number> {
  return enterApp(loadPod(cwd), parseEnterArguments(args), env, CLONE_NEWNS);
}
