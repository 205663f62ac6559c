// The entry point app/rm: makes the pod's systemd forget an app that has been stopped (contract 1.6, 8.4). Working
// directory P. The app's files are stage0's to delete.

import { quote } from '@rkt/diagnostics/quote';
import { openKernel } from '@rkt/linux/libc';
import { parseAppArguments } from '@rkt/pod-layout/crossing';
import { podDir, stage1Root } from '@rkt/pod-layout/pod-paths';
import { appRootfsIn } from '@rkt/pod-layout/stage1-paths';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { appUnitName } from '@rkt/stage1-systemd/host/app-unit';
import { deleteAppFiles } from '@rkt/stage1-systemd/host/write-pod';

import { detachFromPod } from './app-mounts.ts';
import { NspawnError } from './errors.ts';
import { askSystemd, enterPod, tellSystemd } from './in-pod.ts';

/** States of a unit that has ended, or that systemd has never heard of. */
const GONE: readonly string[] = ['inactive', 'failed', 'unknown', ''];

/** @throws NspawnError `refused` while the app runs */
export function appRm({ args, cwd, env }: EntryPointCall): number {
  const { app } = parseAppArguments(args);
  const dir = podDir(cwd);
  const unit = appUnitName(app);
  const kernel = openKernel();
  enterPod(kernel, dir, env);
  if (!GONE.includes(askSystemd('is-active', unit).output)) {
    throw new NspawnError('refused', `app ${quote(app)} is still running`);
  }
  detachFromPod(kernel, appRootfsIn(app));
  deleteAppFiles(STAGE1_INSIDE, app);
  tellSystemd('daemon-reload');
  askSystemd('reset-failed', unit);
  return 0;
}

/** stage1's root as the pod sees it. */
const STAGE1_INSIDE = stage1Root('/');
