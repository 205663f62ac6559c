// Decides everything about the apps of a pod and prepares their volumes and roots. Runs in the run entry point.

import { existsSync } from 'node:fs';
import path from 'node:path';

import { O_NONBLOCK, O_RDONLY } from '@rkt/linux/constants';
import { openInRoot, openRoot } from '@rkt/linux/safe-path';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import type { UidRange } from '@rkt/pod-layout/files';
import { quote } from '@rkt/diagnostics/quote';
import { boundingSet, REMOVE_SET, RETAIN_SET } from '@rkt/stage1-base/capabilities';
import { boundDevice } from '@rkt/stage1-base/devices';
import { findExecutable, workingDirectory } from '@rkt/stage1-base/find-exec';
import { type BindIntoPod, bindMounts } from '@rkt/stage1-base/mounts';
import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import { noNewPrivileges, SECCOMP_ISOLATORS, seccompFilter } from '@rkt/stage1-base/seccomp';
import { openKernel } from '@rkt/linux/libc';
import { resolveCredentials } from '@rkt/stage1-base/user';
import {
  appMounts,
  createEmptyVolume,
  isDockerImage,
  volumeSource,
  type Warn,
} from '@rkt/stage1-base/volumes';
import type { AppPlan } from '@rkt/stage1-systemd/host/app-plan';
import { type AppRootOptions, prepareAppRoot } from '@rkt/stage1-systemd/host/app-root';
import type { CgroupAbilities } from '@rkt/stage1-systemd/host/isolators';

/** What the plans depend on beside the pod. */
export interface PlanContext {
  readonly options: Pick<RunArguments, 'disableCapabilities' | 'disableSeccomp'>;
  readonly roots: AppRootOptions;
  /** The range of a pod with users of its own. */
  readonly users: UidRange | undefined;
  readonly abilities: () => CgroupAbilities;
  /** Run apps without the limits that the host cannot enforce. */
  readonly allowUnlimited: boolean;
  readonly warn: Warn;
}

/** Isolators that are honoured, beside those of resources. */
const CONFINING: readonly string[] = [RETAIN_SET, REMOVE_SET, ...SECCOMP_ISOLATORS];

/** The plans of all apps, in manifest order. @throws RktError, naming the app's user, program, volume or isolator */
export async function planApps(pod: LoadedPod, context: PlanContext): Promise<AppPlan[]> {
  const plans: AppPlan[] = [];
  for (const loaded of pod.apps) plans.push(await planApp(pod, loaded, context));
  return plans;
}

async function planApp(pod: LoadedPod, loaded: LoadedApp, context: PlanContext): Promise<AppPlan> {
  const { options, roots, users, warn } = context;
  const { app } = loaded;
  const credentials = resolveCredentials(loaded, users);
  const argv = [findExecutable(loaded), ...app.exec.slice(1)];
  const mounts = appMounts(pod, loaded, warn);
  for (const mount of mounts.filter(({ volume }) => volume.kind === 'empty')) {
    createEmptyVolume(pod.dir, mount.volume, users?.shift);
    if (!mount.implicit || !isDockerImage(loaded)) continue;
    const { fillVolume } = await import('@rkt/stage1-base/fill-volume');
    fillVolume(openKernel(), loaded.rootfs, mount.path, volumeSource(pod.dir, mount.volume));
  }
  const binds = bindMounts(pod.dir, loaded, mounts);
  const devices = binds.flatMap((bind) => boundDevice(bind) ?? []);
  const innerBinds = prepareAppRoot(pod.stage1, loaded, binds, roots);
  const filter = options.disableSeccomp ? undefined : seccompFilter(app);
  return {
    loaded,
    argv,
    workingDirectory: workingDirectory(loaded),
    credentials,
    binds,
    innerBinds,
    devices,
    ...(options.disableCapabilities ? {} : { capabilities: boundingSet(app) }),
    ...(filter === undefined ? {} : { filter }),
    noNewPrivileges: noNewPrivileges(app, credentials.uid, filter !== undefined),
    resources: await resources(loaded, context),
  };
}

// Quantities need the codecs, which take longer to load than everything else here.
async function resources(
  { app, name }: LoadedApp,
  { abilities, allowUnlimited, warn }: PlanContext,
): Promise<AppPlan['resources']> {
  if ((app.isolators ?? []).length === 0) return [];
  const { resourceDirectives, RESOURCE_ISOLATORS, unenforceableFor } =
    await import('@rkt/stage1-systemd/host/isolators');
  const names = app.isolators?.map((isolator) => isolator.name) ?? [];
  const ignored = names.filter((each) => !RESOURCE_ISOLATORS.includes(each) && !CONFINING.includes(each));
  // The standard wants users to know.
  if (ignored.length > 0) {
    warn(
      `warning: app ${quote(name)}: ignoring isolators unknown to rkt: ${[...new Set(ignored)].join(', ')}`,
    );
  }
  if (!names.some((each) => RESOURCE_ISOLATORS.includes(each))) return [];
  return resourceDirectives(app, abilities(), unenforceableFor(name, allowUnlimited, warn));
}

/**
 * Why the program of an app could not be executed, or undefined when it could. Told when systemd fails to: stage1 has
 * nothing in the pod that could find out. A volume may bring the program, so its source is looked into.
 */
export async function diagnoseProgram({ loaded, argv, binds }: AppPlan): Promise<string | undefined> {
  const { diagnoseExecutable } = await import('@rkt/stage2/diagnose');
  return diagnoseExecutable(argv[0] ?? '', (file) => {
    const bind = volumeOf(file, binds);
    const root = openRoot(bind === undefined ? loaded.rootfs : path.dirname(bind.source));
    const inside =
      bind === undefined ? file : path.join('/', path.basename(bind.source), path.relative(bind.inApp, file));
    return openInRoot(root, inside, O_RDONLY | O_NONBLOCK);
  });
}

function volumeOf(file: string, binds: readonly BindIntoPod[]): BindIntoPod | undefined {
  return binds
    .filter(({ inApp, source }) => (file === inApp || file.startsWith(`${inApp}/`)) && existsSync(source))
    .sort((a, b) => b.inApp.length - a.inApp.length)[0];
}
