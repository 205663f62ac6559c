// `rkt app start` (contract stage0 8.20). Runs in stage0.

import { rmSync, writeFileSync } from 'node:fs';

import { stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { startedMark, statusFile } from '@rkt/pod-layout/stage1-paths';

import { cross } from '../../app/crossing.ts';
import { findAppPod, lockSandbox, requireApp, requireReady } from '../../app/sandbox.ts';
import type { AppNameFlags, Invocation } from '../../cli/requests.ts';
import { appState } from '../../pod/app-state.ts';
import { PodError } from '../../pod/errors.ts';

export async function run({ global, flags, args, env }: Invocation<AppNameFlags>): Promise<number> {
  const { app } = flags;
  if (args[0] !== undefined && app === '') throw new PodError('bad-flag', 'must provide the app to start');
  const found = await findAppPod(global, args[0]);
  requireReady(found);
  using sandbox = lockSandbox(found);
  requireApp(sandbox, app);
  const { pod } = sandbox;
  const root = stage1Rootfs(pod.dir);
  const mark = startedMark(root, app);
  // One that runs keeps its times. Whether it does, stage1 knows better than the marks of a command that was killed.
  if (appState(pod, app).state !== 'running') {
    rmSync(mark, { force: true });
    rmSync(statusFile(root, app), { force: true });
    writeFileSync(mark, '', { mode: 0o644 });
  }
  try {
    await cross(pod, 'start', { app, debug: global.debug, env });
  } catch (error) {
    rmSync(mark, { force: true });
    throw error;
  }
  return 0;
}
