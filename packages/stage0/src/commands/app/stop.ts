// `rkt app stop` (contract stage0 8.20). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';

import { cross } from '../../app/crossing.ts';
import { findAppPod, isOver, lockSandbox, requireApp, requireReady } from '../../app/sandbox.ts';
import type { AppNameFlags, Invocation } from '../../cli/requests.ts';
import { PodError } from '../../pod/errors.ts';

export async function run({ global, flags, args, env }: Invocation<AppNameFlags>): Promise<number> {
  const { app } = flags;
  if (args[0] !== undefined && app === '') throw new PodError('bad-flag', 'must provide the app to stop');
  const pod = await findAppPod(global, args[0]);
  if (isOver(pod)) {
    writeStdout(`pod ${quote(pod.uuid)} is already stopped\n`);
    return 0;
  }
  requireReady(pod);
  const sandbox = lockSandbox(pod);
  try {
    requireApp(sandbox, app);
    const stopped = await cross(sandbox.pod, 'stop', { app, debug: global.debug, env });
    if (!stopped) throw new PodError('wrong-state', `app ${quote(app)} is not running`);
    return 0;
  } finally {
    sandbox.lock.release();
  }
}
