// `rkt app stop` (contract stage0 8.20). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { isAfterRun } from '@rkt/pod-layout/lifecycle';

import { cross } from '../../app/crossing.ts';
import { findAppPod, lockSandbox, requireApp, requireReady } from '../../app/sandbox.ts';
import type { AppNameFlags, Invocation } from '../../cli/requests.ts';
import { PodError } from '../../pod/errors.ts';

export async function run({ global, flags, args, env }: Invocation<AppNameFlags>): Promise<number> {
  const { app } = flags;
  if (args[0] !== undefined && app === '') throw new PodError('bad-flag', 'must provide the app to stop');
  const found = await findAppPod(global, args[0]);
  if (isAfterRun(found.phase)) {
    writeStdout(`pod ${quote(found.uuid)} is already stopped\n`);
    return 0;
  }
  requireReady(found);
  using sandbox = lockSandbox(found);
  requireApp(sandbox, app);
  const stopped = await cross(sandbox.pod, 'stop', { app, debug: global.debug, env });
  if (!stopped) throw new PodError('wrong-state', `app ${quote(app)} is not running`);
  return 0;
}
