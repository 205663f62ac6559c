// A stage1 to start from (docs/stage1-guide.md): one app in namespaces of its own, with its image as root. What it cannot
// do it refuses. Runs on the host, working directory P; `run` becomes the app and `enter` the command.

import * as linux from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { parseEnterArguments, type RunArguments } from '@rkt/pod-layout/entrypoints';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { appEnvironment } from '@rkt/stage1-base/app-env';
import { parseGcArguments, parseRunArguments, parseStopArguments } from '@rkt/stage1-base/arguments';
import { enterApp } from '@rkt/stage1-base/enter-app';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { Stage1Error } from '@rkt/stage1-base/errors';
import { findExecutable, workingDirectory } from '@rkt/stage1-base/find-exec';
import { loadPod } from '@rkt/stage1-base/load-pod';
import { lockDescriptor } from '@rkt/stage1-base/lock-fd';
import { signalMember } from '@rkt/stage1-base/member-process';
import { readPid, writePid } from '@rkt/stage1-base/pids';
import { type LoadedApp, type LoadedPod, onlyApp } from '@rkt/stage1-base/pod';
import * as cgroups from '@rkt/stage1-base/pod-cgroup';
import { enterOwnMountNamespace, mountAll, type RootMount } from '@rkt/stage1-base/root-mounts';
import { resolveCredentials } from '@rkt/stage1-base/user';
import { appMounts } from '@rkt/stage1-base/volumes';
import { launchApp } from '@rkt/stage2/launch-app';

/** Namespaces of every pod; a pod without a network has one of these too. */
const NAMESPACES = linux.CLONE_NEWUTS | linux.CLONE_NEWIPC;

/** Becomes the pod's one app. @throws RktError */
export async function run({ args, env, cwd, pid }: EntryPointCall): Promise<number> {
  const options = parseRunArguments(args, ['private-users', 'mutable']);
  const lockFd = lockDescriptor(env);
  const pod = loadPod(cwd);
  const loaded = onlyApp(pod, 'only pods of one app can run');
  refuse(options, loaded);
  const mounts = planMounts(pod, loaded);
  const executable = findExecutable(loaded);
  const cgroup = cgroups.createPodCgroup(pod.dir, options.uuid);
  if (cgroup !== undefined) await cgroups.joinPodCgroup(cgroup);
  // From here on `rkt enter` and `rkt stop` find the pod.
  writePid(pod.dir, pid);

  const kernel = openKernel();
  kernel.unshare(NAMESPACES | (options.net[0] === 'none' ? linux.CLONE_NEWNET : 0));
  kernel.setHostname(options.hostname ?? `rkt-${options.uuid}`);
  enterOwnMountNamespace(kernel);
  const readOnly = loaded.runtimeApp.readOnlyRootFS === true;
  mountAll(kernel, loaded.rootfs, mounts, { readOnly, defaultHosts: true });
  return launchApp({
    root: loaded.rootfs,
    workingDirectory: workingDirectory(loaded),
    executable,
    argv: [executable, ...loaded.app.exec.slice(1)],
    environment: appEnvironment(loaded),
    ...resolveCredentials(loaded),
    // The lock lives as long as any process of the pod.
    keepOpen: [lockFd],
  });
}

/** Becomes a command beside the app. @throws RktError */
export function enter({ args, env, cwd }: EntryPointCall): Promise<number> {
  const namespaces = NAMESPACES | linux.CLONE_NEWNS | linux.CLONE_NEWNET;
  return enterApp(loadPod(cwd), parseEnterArguments(args), env, namespaces);
}

/** Asks the app to end, or with --force ends all of the pod. @throws Stage1Error `process-gone` */
export function stop({ args, cwd }: EntryPointCall): number {
  const { force } = parseStopArguments(args);
  const pid = readPid(podDir(cwd));
  const cgroup = cgroups.findPodCgroup(podDir(cwd));
  const gone = new Stage1Error('process-gone', 'the app of the pod is not running');
  if (pid === undefined || cgroup === undefined) throw gone;
  const isOurs = (): boolean => cgroups.podPids(cgroup).includes(pid);
  if (force) cgroups.killPod(cgroup);
  else if (!signalMember(openKernel(), pid, linux.SIGTERM, isOurs)) throw gone;
  return 0;
}

/** Ends what is left and removes the cgroup; mounts and namespaces have gone with the last process. */
export function gc({ args, cwd }: EntryPointCall): number {
  parseGcArguments(args);
  cgroups.endPod(podDir(cwd));
  return 0;
}

// What a user asks for and does not get must not be left out in silence.
function refuse({ net, resolvMode, hostsMode }: RunArguments, { app }: LoadedApp): void {
  const { eventHandlers = [], isolators = [] } = app;
  if (net.length !== 1 || !['none', 'host'].includes(net[0] ?? '')) cannot(`the network ${net.join(',')}`);
  if (resolvMode !== 'default' || hostsMode !== 'default') cannot('files for names');
  if (eventHandlers.length > 0) cannot('event handlers');
  if (isolators.length > 0) cannot(isolators.map(({ name }) => name).join(', '));
}

function cannot(what: string): never {
  throw new Stage1Error('unsupported', `this stage1 cannot give ${what}`);
}

function planMounts(pod: LoadedPod, loaded: LoadedApp): RootMount[] {
  const ofHost = (source: string): RootMount => bind(source, source);
  const volumes = appMounts(pod, loaded, () => {}).map(({ volume, path, readOnly }) => {
    if (volume.kind !== 'host' || volume.source === undefined) return cannot('empty volumes');
    return bind(volume.source, path, readOnly, volume.recursive);
  });
  return [...['/dev', '/proc'].map(ofHost), { kind: 'sysfs', target: '/sys' }, ...volumes];
}

function bind(source: string, target: string, readOnly = false, recursive = true): RootMount {
  return { kind: 'bind', source, target, readOnly, recursive };
}
