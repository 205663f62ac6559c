// Decides everything about the apps of a pod and prepares their volumes and roots. Runs in the run entry point.

import { existsSync } from 'node:fs';
import path from 'node:path';

import { O_NONBLOCK, O_RDONLY } from '@rkt/linux/constants';
import { openInRoot, openRoot, resolveInRoot } from '@rkt/linux/safe-path';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import type { UidRange } from '@rkt/pod-layout/files';
import { quote } from '@rkt/diagnostics/quote';
import { boundingSet, REMOVE_SET, RETAIN_SET, unknownRemoved } from '@rkt/stage1-base/capabilities';
import { boundDevice } from '@rkt/stage1-base/devices';
import { findExecutable, workingDirectory } from '@rkt/stage1-base/find-exec';
import { type BindIntoPod, bindMounts } from '@rkt/stage1-base/mounts';
import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import {
  noNewPrivileges,
  SECCOMP_ISOLATORS,
  seccompFilter,
  unknownSeccompNames,
} from '@rkt/stage1-base/seccomp';
import { openKernel } from '@rkt/linux/libc';
import { resolveCredentials } from '@rkt/stage1-base/user';
import {
  appMounts,
  createEmptyVolume,
  isDockerImage,
  volumeSource,
  type Warn,
} from '@rkt/stage1-base/volumes';

import { checkCredentials } from './accounts.ts';
import type { AppPlan } from './app-plan.ts';
import { type AppRootOptions, prepareAppRoot } from './app-root.ts';
import type { CgroupAbilities } from './isolators.ts';

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
  checkCredentials(credentials, users);
  const argv = [findExecutable(loaded), ...app.exec.slice(1)];
  const mounts = appMounts(pod, loaded, warn);
  for (const mount of mounts.filter(({ volume }) => volume.kind === 'empty')) {
    createEmptyVolume(pod.dir, mount.volume, users);
    if (!mount.implicit || !isDockerImage(loaded)) continue;
    const { fillVolume } = await import('@rkt/stage1-base/fill-volume');
    fillVolume(openKernel(), loaded.rootfs, mount.path, volumeSource(pod.dir, mount.volume));
  }
  const binds = bindMounts(pod.dir, loaded, mounts);
  const devices = binds.flatMap((bind) => boundDevice(bind) ?? []);
  const innerBinds = prepareAppRoot(pod.stage1, loaded, binds, roots);
  warnOfUnknownNames(loaded, context);
  const filter = options.disableSeccomp ? undefined : seccompFilter(app);
  return {
    loaded,
    argv,
    workingDirectory: plainDirectory(loaded),
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

// They confine nobody, which whoever wrote them may not expect.
function warnOfUnknownNames({ app, name }: LoadedApp, { options, warn }: PlanContext): void {
  const unknown = [
    ...(options.disableSeccomp ? [] : unknownSeccompNames(app)),
    ...(options.disableCapabilities ? [] : unknownRemoved(app)),
  ];
  if (unknown.length > 0) {
    warn(`warning: app ${quote(name)}: ignoring names unknown to rkt: ${[...new Set(unknown)].join(', ')}`);
  }
}

// systemd takes no `..`, and what it means depends on links of the app's root.
function plainDirectory(loaded: LoadedApp): string {
  const directory = workingDirectory(loaded);
  return directory.split('/').includes('..') ? resolveInRoot(loaded.rootfs, directory) : directory;
}

/**
 * Directives that bound all apps of the pod together, from the isolators of its manifest; what cannot be honoured is
 * told. @throws SystemdError as for an app
 */
export async function podResources(
  { manifest: { isolators = [] } }: Pick<LoadedPod, 'manifest'>,
  { abilities, allowUnlimited, warn }: Pick<PlanContext, 'abilities' | 'allowUnlimited' | 'warn'>,
): Promise<AppPlan['resources']> {
  if (isolators.length === 0) return [];
  const { POD_ISOLATORS, resourceDirectives, unenforceableFor } = await import('./isolators.ts');
  const honoured = isolators.filter(({ name }) => POD_ISOLATORS.includes(name));
  const ignored = isolators.filter((isolator) => !honoured.includes(isolator)).map(({ name }) => name);
  if (ignored.length > 0) {
    warn(
      `warning: pod: ignoring isolators that rkt honours only for apps: ${[...new Set(ignored)].join(', ')}`,
    );
  }
  if (honoured.length === 0) return [];
  return resourceDirectives(
    { isolators: honoured },
    abilities(),
    unenforceableFor('pod', allowUnlimited, warn),
  );
}

// Quantities need the codecs, which take longer to load than everything else here.
async function resources(
  { app, name }: LoadedApp,
  { abilities, allowUnlimited, warn }: PlanContext,
): Promise<AppPlan['resources']> {
  if ((app.isolators ?? []).length === 0) return [];
  const { resourceDirectives, RESOURCE_ISOLATORS, unenforceableFor } = await import('./isolators.ts');
  const names = app.isolators?.map((isolator) => isolator.name) ?? [];
  const ignored = names.filter((each) => !RESOURCE_ISOLATORS.includes(each) && !CONFINING.includes(each));
  // The standard wants users to know.
  if (ignored.length > 0) {
    warn(
      `warning: app ${quote(name)}: ignoring isolators unknown to rkt: ${[...new Set(ignored)].join(', ')}`,
    );
  }
  if (!names.some((each) => RESOURCE_ISOLATORS.includes(each))) return [];
  return resourceDirectives(app, abilities(), unenforceableFor(`app ${quote(name)}`, allowUnlimited, warn));
}

/**
 * Why an app's process could not start in its directory, or its program not be executed, or undefined when they could.
 * Told when systemd fails to: stage1 has nothing in the pod that could find out. A volume may bring either, so its source
 * is looked into.
 */
export async function diagnoseStart({
  loaded,
  argv,
  binds,
  workingDirectory: directory,
}: AppPlan): Promise<string | undefined> {
  const { diagnoseDirectory, diagnoseExecutable } = await import('@rkt/stage2/diagnose');
  const open = (file: string): number => {
    const bind = volumeOf(file, binds);
    const root = openRoot(bind === undefined ? loaded.rootfs : path.dirname(bind.source));
    const inside =
      bind === undefined ? file : path.join('/', path.basename(bind.source), path.relative(bind.inApp, file));
    return openInRoot(root, inside, O_RDONLY | O_NONBLOCK);
  };
  return diagnoseDirectory(directory, open) ?? diagnoseExecutable(argv[0] ?? '', open);
}

function volumeOf(file: string, binds: readonly BindIntoPod[]): BindIntoPod | undefined {
  return binds
    .filter(({ inApp, source }) => (file === inApp || file.startsWith(`${inApp}/`)) && existsSync(source))
    .sort((a, b) => b.inApp.length - a.inApp.length)[0];
}
