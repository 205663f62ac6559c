// `rkt app rm` (contract stage0 8.20, stage1 8.4). Runs in stage0.

import { createLogger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import { isAfterRun } from '@rkt/pod-layout/lifecycle';
import { stage1Rootfs } from '@rkt/pod-layout/pod-paths';

import { cross } from '../../app/crossing.ts';
import { deleteApp } from '../../app/remove-app.ts';
import { findAppPod, lockSandbox, replaceManifest, requireApp, requireReady } from '../../app/sandbox.ts';
import type { AppNameFlags, Invocation } from '../../cli/requests.ts';
import { PodError } from '../../pod/errors.ts';
import { linkApps } from '../../prepare/image-links.ts';

export async function run({ command, global, flags, args, env }: Invocation<AppNameFlags>): Promise<number> {
  const { app } = flags;
  if (args[0] !== undefined && app === '') throw new PodError('bad-flag', 'must provide the app to remove');
  const found = await findAppPod(global, args[0]);
  if (!isAfterRun(found.phase)) requireReady(found);
  using sandbox = lockSandbox(found);
  requireApp(sandbox, app);
  const { pod, manifest } = sandbox;
  if (!isAfterRun(pod.phase)) {
    const call = { app, debug: global.debug, env };
    await cross(pod, 'stop', call);
    await cross(pod, 'rm', call);
  }
  // The files first: an app that is only half there is still listed, and can be removed again.
  deleteApp(openKernel(), pod.dir, app, createLogger({ prefix: command, debug: global.debug }));
  const apps = manifest.apps.filter(({ name }) => name !== app);
  linkApps(stage1Rootfs(pod.dir), apps);
  replaceManifest(pod.dir, { ...manifest, apps });
  return 0;
}
