// The enter entry point: runs a command beside the app, with the app's user, environment, root, mounts and cgroups
// (contract 3; 10.1, CVE-2019-10144, -10145, -10147: fly's apps have all capabilities and no filter, so has this).
// Becomes the command. Working directory P.

import { openSync } from 'node:fs';

import { CLONE_FS, CLONE_NEWNS, O_DIRECTORY, O_PATH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { procFdPath } from '@rkt/linux/safe-path';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';
import { parseEnterArguments } from '@rkt/pod-layout/entrypoints';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { appEnvironment, environmentValue } from '@rkt/stage1-base/app-env';
import { lookUpProgram } from '@rkt/stage1-base/find-exec';
import { loadPod } from '@rkt/stage1-base/load-pod';
import { runningMetadataUrl } from '@rkt/stage1-base/metadata';
import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import { findPodCgroup, joinPodCgroup } from '@rkt/stage1-base/pod-cgroup';
import { resolveCredentials } from '@rkt/stage1-base/user';
import { launchApp } from '@rkt/stage2/launch-app';

import { FlyError } from './errors.ts';
import type { EntryPointCall } from './run.ts';

/** Becomes the command; returns an exit status only when it cannot be executed. @throws RktError */
export async function enter({ args, env, cwd }: EntryPointCall): Promise<number> {
  const { pid: target, app: appName, command } = parseEnterArguments(args);
  const pod = loadPod(cwd);
  const loaded = chooseApp(pod, appName);
  const credentials = resolveCredentials(loaded);
  const environment = [...appEnvironment(loaded, runningMetadataUrl(podDir(cwd)))];
  // So that editors and pagers work; the app's own TERM, if any, describes another terminal.
  if (env['TERM'] !== undefined) environment.push({ name: 'TERM', value: env['TERM'] });

  const kernel = openKernel();
  const pidfd = openProcess(() => kernel.pidfdOpen(target), target);
  const rootFd = openProcess(() => openSync(`/proc/${target}/root`, O_PATH | O_DIRECTORY), target);
  const cgroup = findPodCgroup(podDir(cwd));
  // Before anything of the pod runs.
  if (cgroup !== undefined) await joinPodCgroup(cgroup);
  // Threads share their root and working directory, which setns refuses to change for all of them.
  kernel.unshare(CLONE_FS);
  kernel.setns(pidfd, CLONE_NEWNS);
  const root = procFdPath(rootFd);
  const [program, ...words] = command as [string, ...string[]];
  const executable = lookUpProgram(root, program, { cwd: '/', path: environmentValue(environment, 'PATH') });
  return launchApp({
    root,
    workingDirectory: '/',
    executable,
    argv: [program, ...words],
    environment,
    ...credentials,
  });
}

function chooseApp({ apps }: LoadedPod, name: string | undefined): LoadedApp {
  const app = name === undefined ? apps[0] : apps.find((candidate) => candidate.name === name);
  if (app === undefined) throw new FlyError('no-such-app', `no app ${quote(name ?? '')} in the pod`);
  return app;
}

function openProcess(open: () => number, pid: number): number {
  try {
    return open();
  } catch (error) {
    if (hasCode(error, 'ESRCH') || hasCode(error, 'ENOENT')) {
      throw new FlyError('process-gone', `process ${pid} of the pod is not running anymore`);
    }
    throw error;
  }
}
