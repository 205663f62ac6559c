// `rkt app rm` (contract stage0 8.20, stage1 8.4). Runs in stage0.

import { openKernel } from '@rkt/linux/libc';

import { cross } from '../../app/crossing.ts';
import { deleteApp } from '../../app/remove-app.ts';
import {
  findAppPod,
  isOver,
  lockSandbox,
  replaceManifest,
  requireApp,
  requireReady,
} from '../../app/sandbox.ts';
import type { AppNameFlags, Invocation } from '../../cli/requests.ts';
import { PodError } from '../../pod/errors.ts';

export async function run({ global, flags, args, env }: Invocation<AppNameFlags>): Promise<number> {
  const { app } = flags;
  if (args[0] !== undefined && app === '') throw new PodError('bad-flag', 'must provide the app to remove');
  const pod = await findAppPod(global, args[0]);
  if (!isOver(pod)) requireReady(pod);
  const sandbox = lockSandbox(pod);
  try {
    requireApp(sandbox, app);
    if (!isOver(sandbox.pod)) {
      const call = { app, debug: global.debug, env };
      await cross(sandbox.pod, 'stop', call);
      await cross(sandbox.pod, 'rm', call);
    }
    // The files first: an app that is only half there is still listed, and can be removed again.
    deleteApp(openKernel(), sandbox.pod.dir, app);
    const { manifest } = sandbox;
    replaceManifest(sandbox.pod.dir, { ...manifest, apps: manifest.apps.filter(({ name }) => name !== app) });
    return 0;
  } finally {
    sandbox.lock.release();
  }
}
