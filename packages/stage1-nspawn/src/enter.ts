// The enter entry point: runs a command beside an app, in its namespaces and cgroups, with its environment, as root
// within the app's capabilities (contract 8.6; 10.1). stage0 takes this program from the tree store, never from the
// pod. Working directory P.
//
// Only children enter a PID namespace, so the command is one, and this process waits for it. Everything that confines
// the command is done to this process before: no program of ours runs in the pod. After setns only synchronous calls
// are right, and no thread may be started.

import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { constants as osConstants } from 'node:os';

import { quote } from '@rkt/diagnostics/quote';
import { writeStderr } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { hierarchies } from '@rkt/linux/cgroup';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  capabilityNumber,
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  O_DIRECTORY,
  O_PATH,
  SIGKILL,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { parseEnterArguments } from '@rkt/pod-layout/entrypoints';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { appEnvironment, environmentValue } from '@rkt/stage1-base/app-env';
import { boundingSet } from '@rkt/stage1-base/capabilities';
import { lookUpProgram } from '@rkt/stage1-base/find-exec';
import type { LoadedApp, LoadedPod } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { runningMetadataUrl } from '@rkt/stage1-base/metadata';
import { noNewPrivileges } from '@rkt/stage1-base/seccomp';
import { diagnoseExecutable } from '@rkt/stage2/diagnose';

import { findAppProcess, findPodInit } from './app-process.ts';
import type { EntryPointCall } from './entry-point.ts';
import { NspawnError } from './errors.ts';
import { joinCgroupsOf } from './join-cgroups.ts';
import { insecureOptions } from './runtime-options.ts';

/** systemd's exit status for a program that cannot be executed. */
const EXIT_EXEC = 203;

/** A terminal that everything knows. */
const DEFAULT_TERM = 'vt100';

/** Namespaces of the pod; the mount namespace, the app's own, comes after them. */
const POD_NAMESPACES = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP;

/** Runs the command; returns its exit status, or ends by the signal that ended it. @throws RktError */
export async function enter({ args, env, cwd, pid }: EntryPointCall): Promise<number> {
  const { pid: given, app: appName, command } = parseEnterArguments(args);
  const dir = podDir(cwd);
  const pod = await loadPodQuickly(cwd);
  const loaded = chooseApp(pod, appName);
  const insecure = insecureOptions(dir);
  const environment = [
    ...appEnvironment(loaded, runningMetadataUrl(dir)),
    { name: 'TERM', value: env['TERM'] ?? DEFAULT_TERM },
  ];

  const kernel = openKernel();
  const mounted = hierarchies();
  const target = findAppProcess(findPodInit(dir, given), loaded.name, mounted);
  const targetFd = kernel.pidfdOpen(target);
  const rootFd = openSync(`/proc/${target}/root`, O_PATH | O_DIRECTORY);
  // Before anything of the pod runs.
  joinCgroupsOf(target, mounted);
  enterNamespaces(kernel, targetFd, rootFd);
  const [program = '', ...words] = command;
  const executable = lookUpProgram('/', program, { cwd: '/', path: environmentValue(environment, 'PATH') });
  confine(kernel, loaded, insecure.DisableCapabilities);
  return runCommand(kernel, pid, { executable, argv: [program, ...words], environment });
}

function chooseApp({ apps }: LoadedPod, name: string | undefined): LoadedApp {
  const app = name === undefined ? apps[0] : apps.find((candidate) => candidate.name === name);
  if (app === undefined) throw new NspawnError('no-such-app', `no app ${quote(name ?? '')} in the pod`);
  return app;
}

function enterNamespaces(kernel: Kernel, targetFd: number, rootFd: number): void {
  kernel.setns(targetFd, POD_NAMESPACES);
  // Threads share their root and working directory, which setns refuses to change for all of them.
  kernel.unshare(CLONE_FS);
  kernel.setns(targetFd, CLONE_NEWNS);
  const [wanted, here] = [kernel.statAt(rootFd, '', AT_EMPTY_PATH), kernel.statAt(AT_FDCWD, '/', 0)];
  if (
    wanted.inode !== here.inode ||
    wanted.deviceMajor !== here.deviceMajor ||
    wanted.deviceMinor !== here.deviceMinor
  ) {
    throw new NspawnError('process-gone', "the app's root is not where it was");
  }
}

// What this thread is not allowed, its children are not either.
function confine(kernel: Kernel, { app }: LoadedApp, allCapabilities: boolean): void {
  kernel.setCloseOnExecFrom(3);
  kernel.setGroups([]);
  kernel.clearAmbient();
  if (!allCapabilities) {
    const kept = new Set(boundingSet(app).map(capabilityNumber));
    for (let number = 0; number <= kernel.lastCapability(); number += 1) {
      if (!kept.has(number)) kernel.dropBoundingCapability(number);
    }
  }
  const sets = kernel.capGet();
  kernel.capSet({ ...sets, inheritable: 0n });
  if (noNewPrivileges(app, 0, false)) kernel.setNoNewPrivileges();
}

interface Command {
  readonly executable: string;
  readonly argv: readonly string[];
  readonly environment: readonly { readonly name: string; readonly value: string }[];
}

function runCommand(kernel: Kernel, pid: number, { executable, argv, environment }: Command): number {
  const variables = Object.create(null) as Record<string, string>;
  for (const { name, value } of environment) variables[name] = value;
  // The terminal sends these to us, too; the command decides what becomes of them.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP'] as const) process.on(signal, () => {});
  const { status, signal, error } = spawnSync(executable, argv.slice(1), {
    argv0: argv[0] ?? executable,
    env: variables,
    cwd: '/',
    stdio: 'inherit',
  });
  if (error !== undefined) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EACCES')) throw error;
    writeStderr(`${diagnoseExecutable(executable) ?? `Error: Unable to execute ${quote(executable)}`}\n`);
    return EXIT_EXEC;
  }
  if (signal !== null) {
    const number = osConstants.signals[signal];
    if (number !== SIGKILL) kernel.resetSignal(number);
    kernel.kill(pid, number);
    return 128 + number;
  }
  return status ?? EXIT_EXEC;
}
