// Becomes a command beside an app whose process is one of the host, in some namespaces and a root of its own: the app's
// user, environment, root, mounts and cgroups are the command's too (contract 3; 10.1, CVE-2019-10144, -10145, -10147: for
// apps that have all capabilities and no filter). Runs in the enter entry point, working directory P.

import { openSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { CLONE_FS, O_DIRECTORY, O_PATH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { procFdPath } from '@rkt/linux/safe-path';
import type { EnterArguments } from '@rkt/pod-layout/entrypoints';
import { launchApp } from '@rkt/stage2/launch-app';

import { appEnvironment, environmentValue } from './app-env.ts';
import type { EntryPointCall } from './entry-point.ts';
import { Stage1Error } from './errors.ts';
import { lookUpProgram } from './find-exec.ts';
import { runningMetadataUrl } from './metadata.ts';
import { appNamed, type LoadedPod } from './pod.ts';
import { findPodCgroup, joinPodCgroup } from './pod-cgroup.ts';
import { resolveCredentials } from './user.ts';

/**
 * Becomes the command; returns an exit status only when it cannot be executed. `namespaces` are those of the app's
 * process that are not the host's, as CLONE_NEW... flags.
 * @throws RktError
 */
export async function enterApp(
  pod: LoadedPod,
  { pid, app: name, command }: EnterArguments,
  env: EntryPointCall['env'],
  namespaces: number,
): Promise<number> {
  const loaded = appNamed(pod, name);
  const credentials = resolveCredentials(loaded);
  const environment = [...appEnvironment(loaded, runningMetadataUrl(pod.dir))];
  // So that editors and pagers work; the app's own TERM, if any, describes another terminal.
  if (env['TERM'] !== undefined) environment.push({ name: 'TERM', value: env['TERM'] });

  const kernel = openKernel();
  const pidfd = openProcess(() => kernel.pidfdOpen(pid), pid);
  const rootFd = openProcess(() => openSync(`/proc/${pid}/root`, O_PATH | O_DIRECTORY), pid);
  const cgroup = findPodCgroup(pod.dir);
  // Before anything of the pod runs.
  if (cgroup !== undefined) await joinPodCgroup(cgroup);
  // Threads share their root and working directory, which setns refuses to change for all of them.
  kernel.unshare(CLONE_FS);
  kernel.setns(pidfd, namespaces);
  const root = procFdPath(rootFd);
  const [program = '', ...words] = command;
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

function openProcess(open: () => number, pid: number): number {
  try {
    return open();
  } catch (error) {
    if (hasCode(error, 'ESRCH') || hasCode(error, 'ENOENT')) {
      throw new Stage1Error('process-gone', `process ${pid} of the pod is not running anymore`);
    }
    throw error;
  }
}
