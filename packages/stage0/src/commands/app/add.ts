// `rkt app add` (contract stage0 8.20, stage1 8.4). Runs in stage0.

import { writeFileSync } from 'node:fs';

import { createLogger, type Logger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import { INSECURE_LIMITS_ANNOTATION } from '@rkt/pod-layout/entrypoints';
import { stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { appDir, appRootfs, createdMark } from '@rkt/pod-layout/stage1-paths';
import type { ImageKey } from '@rkt/spec/image-id';
import type { RuntimeApp } from '@rkt/spec/pod-manifest';

import { cross, type Crossing } from '../../app/crossing.ts';
import { deleteApp } from '../../app/remove-app.ts';
import {
  findAppPod,
  type LockedSandbox,
  lockSandbox,
  replaceManifest,
  requireReady,
} from '../../app/sandbox.ts';
import type { AppRequest, Invocation, NoFlags } from '../../cli/requests.ts';
import { loadConfig } from '../../config/load.ts';
import { fetchContext, type FetchContext, findImage } from '../../fetch/finder.ts';
import { linkMtab } from '../../launch/mtab.ts';
import { mountApp } from '../../launch/pod-mounts.ts';
import { rktGroupId } from '../../launch/rkt-group.ts';
import { labelFiles, mountLabel } from '../../launch/selinux.ts';
import { PodError } from '../../pod/errors.ts';
import { usesOverlay } from '../../pod/record.ts';
import { checkPlatform, prepareAppImage } from '../../prepare/app-image.ts';
import { duplicateApp, runtimeApp } from '../../prepare/app-overrides.ts';
import { linkApps } from '../../prepare/image-links.ts';
import { holdPrepareLock } from '../../prepare/new-pod.ts';

export async function run(invocation: Invocation<NoFlags>): Promise<number> {
  const { command, global, env } = invocation;
  const { argument, request } = chosen(invocation);
  const pod = await findAppPod(global, argument);
  requireReady(pod);
  const fetch = fetchContext({ data: pod.data, config: loadConfig(global), global, env, limits: {} });
  try {
    const key = await findImage(fetch, request.image, { pullPolicy: 'never', dependencies: true });
    using sandbox = lockSandbox(pod);
    requireReady(sandbox.pod);
    const app = newApp(sandbox, request, key, fetch, global.insecure.limits);
    const logger = createLogger({ prefix: command, debug: global.debug });
    await addApp(sandbox, app, fetch, { logger, call: { app: app.name, debug: global.debug, env } });
    return 0;
  } finally {
    fetch.store.close();
  }
}

function chosen({ args, apps }: Invocation<NoFlags>): { argument: string; request: AppRequest } {
  const [argument] = args;
  const [request, another] = apps;
  if (argument === undefined || request === undefined) {
    throw new PodError('bad-flag', 'must provide the pod UUID and an IMAGEID');
  }
  if (another !== undefined) throw new PodError('bad-flag', 'must give only one app');
  return { argument, request };
}

function newApp(
  { manifest }: LockedSandbox,
  request: AppRequest,
  key: ImageKey,
  { store }: FetchContext,
  insecureLimits: boolean,
): RuntimeApp {
  const image = store.readManifest(key);
  checkPlatform(image);
  const app = runtimeApp(request, key, image, {
    environment: { inherited: {}, setEnv: [], setEnvFile: [] },
    mounts: [],
    callerUid: process.getuid?.() ?? 0,
    callerGid: process.getgid?.() ?? 0,
  });
  if (manifest.apps.some(({ name }) => name === app.name)) throw duplicateApp(app.name);
  return insecureLimits ? withoutLimits(app) : app;
}

// stage1 reads it in the pod's manifest: there is no other way to it (contract stage1 1.6).
function withoutLimits(app: RuntimeApp): RuntimeApp {
  const others = (app.annotations ?? []).filter(({ name }) => name !== INSECURE_LIMITS_ANNOTATION);
  return { ...app, annotations: [...others, { name: INSECURE_LIMITS_ANNOTATION, value: 'true' }] };
}

// The image first, then the manifest, then stage1: an app that is not complete is deleted, now or by the next that has
// its name.
async function addApp(
  { pod, manifest }: LockedSandbox,
  app: RuntimeApp,
  { store, treeStore }: FetchContext,
  { logger, call }: { readonly logger: Logger; readonly call: Crossing },
): Promise<void> {
  const kernel = openKernel();
  const root = stage1Rootfs(pod.dir);
  const overlay = usesOverlay(pod.dir);
  const { name, image } = app;
  deleteApp(kernel, pod.dir, name, logger);
  try {
    {
      using _shared = holdPrepareLock(pod.data);
      const target = {
        pod: pod.dir,
        treeStore,
        overlay,
        privateUsers: undefined,
        second: undefined,
      };
      await prepareAppImage(target, name, image.id, store.readManifestText(image.id));
    }
    const label = overlay ? undefined : mountLabel(pod.dir);
    if (label !== undefined) labelFiles(kernel, [appDir(root, name)], label);
    if (overlay) mountApp(pod.dir, root, name, { kernel, data: pod.data, groupId: rktGroupId() ?? -1 });
    linkMtab(kernel, appRootfs(root, name), 0);
    const apps = [...manifest.apps, app];
    linkApps(root, apps);
    replaceManifest(pod.dir, { ...manifest, apps });
    writeFileSync(createdMark(root, name), '', { mode: 0o644 });
    await cross(pod, 'add', call);
  } catch (error) {
    // What it had made by then; that it may have made nothing is no news.
    await cross(pod, 'rm', call).catch(() => false);
    deleteApp(kernel, pod.dir, name, logger);
    linkApps(root, manifest.apps);
    replaceManifest(pod.dir, manifest);
    throw error;
  }
}
