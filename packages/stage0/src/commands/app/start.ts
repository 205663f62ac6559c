// `rkt app start` (contract stage0 8.20). Runs in stage0.

import { rmSync, writeFileSync } from 'node:fs';

import { stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { startedMark, statusFile } from '@rkt/pod-layout/stage1-paths';

import { appState } from '../../app/app-state.ts';
import { cross } from '../../app/crossing.ts';
import { findAppPod, lockSandbox, requireApp, requireReady } from '../../app/sandbox.ts';
import type { AppNameFlags, Invocation } from '../../cli/requests.ts';
import { PodError } from '../../pod/errors.ts';

export async function run({ global, flags, args, env }: Invocation<AppNameFlags>): Promise<number> {
  const { app } = flags;
  if (args[0] !== undefined && app === '') throw new PodError('bad-flag', 'must provide the app to start');
  const pod = await findAppPod(global, args[0]);
  requireReady(pod);
  const sandbox = lockSandbox(pod);
  try {
    requireApp(sandbox, app);
    if (appState(sandbox.pod, app).state === 'running') return 0;
    const root = stage1Rootfs(sandbox.pod.dir);
    for (const file of [startedMark(root, app), statusFile(root, app)]) rmSync(file, { force: true });
    writeFileSync(startedMark(root, app), '', { mode: 0o644 });
    await cross(sandbox.pod, 'start', { app, debug: global.debug, env });
    return 0;
  } finally {
    sandbox.lock.release();
  }
}
