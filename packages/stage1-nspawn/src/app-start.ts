// The entry points app/start and app/stop (contract 1.6, 8.4). Working directory P; they end in the pod's namespaces.

import { writeStderr } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { openKernel } from '@rkt/linux/libc';
import { EXIT_NO_SUCH_UNIT, parseAppArguments } from '@rkt/pod-layout/crossing';
import { podDir } from '@rkt/pod-layout/pod-paths';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { appUnitName } from '@rkt/stage1-systemd/host/app-unit';

import { askSystemd, enterPod, tellSystemd } from './in-pod.ts';

const EXIT_START_FAILED = 1;

/** Starts the app; returns when systemd has. */
export function appStart({ args, cwd, env }: EntryPointCall): number {
  const { app } = parseAppArguments(args);
  enterPod(openKernel(), podDir(cwd), env);
  const { status, output } = askSystemd('start', appUnitName(app));
  if (status === 0) return 0;
  writeStderr(`${quote(app)} failed to start:\n${output}\n`);
  return EXIT_START_FAILED;
}

/** Stops the app and waits for its end, and for the record of how it ended. */
export function appStop({ args, cwd, env }: EntryPointCall): number {
  const { app } = parseAppArguments(args);
  const unit = appUnitName(app);
  enterPod(openKernel(), podDir(cwd), env);
  if (!ALIVE.includes(askSystemd('is-active', unit).output)) return EXIT_NO_SUCH_UNIT;
  tellSystemd('stop', unit);
  return 0;
}

/** States of a unit that has processes (systemctl(1)). */
const ALIVE: readonly string[] = ['active', 'activating', 'deactivating', 'reloading'];
