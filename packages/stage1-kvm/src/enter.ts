// The enter entry point: runs a command beside an app, in its root and confined as it is, as root (contract stage1 8.6).
// stage0 takes this program from the tree store. Working directory P.
//
// An agent in the guest starts it, as it is told on a port of the machine, which is a socket of ours
// (docs/decisions/0052-entering-a-virtual-machine.md).

import { existsSync } from 'node:fs';
import { isatty } from 'node:tty';

import { quote } from '@rkt/diagnostics/quote';
import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr } from '@rkt/diagnostics/logger';
import { type FileLock, tryLockExclusive } from '@rkt/linux/file-lock';
import { openKernel } from '@rkt/linux/libc';
import { parseEnterArguments } from '@rkt/pod-layout/entrypoints';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { onHost, statusFileIn } from '@rkt/pod-layout/stage1-paths';
import { appEnvironment, environmentValue } from '@rkt/stage1-base/app-env';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { lookUpProgram } from '@rkt/stage1-base/find-exec';
import { runningMetadataUrl } from '@rkt/stage1-base/metadata';
import { appNamed, type LoadedApp, type LoadedPod } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { runtimeOptions } from '@rkt/stage1-base/runtime-options';
import { noNewPrivileges, seccompFilter, verdictsOf } from '@rkt/stage1-base/seccomp';
import { compileSeccomp } from '@rkt/stage1-base/seccomp-program';

import { encodePlan } from './enter-plan.ts';
import { relayStreams } from './enter-streams.ts';
import { KvmError } from './errors.ts';
import { ENTER_SLOTS, enterSlotDir } from './qemu-args.ts';

const DEFAULT_TERM = 'vt100';

/** Runs the command to its end; returns its exit status. @throws RktError */
export async function enter({ args, env, cwd }: EntryPointCall): Promise<number> {
  const { app: name, command } = parseEnterArguments(args);
  const dir = podDir(cwd);
  const pod = await loadPodQuickly(cwd);
  const app = runningApp(pod, name);
  const { insecure } = runtimeOptions(dir);
  const environment = [
    ...appEnvironment(app, runningMetadataUrl(dir)),
    { name: 'TERM', value: env['TERM'] ?? DEFAULT_TERM },
  ];
  const [program = ''] = command;
  const executable = lookUpProgram(app.rootfs, program, {
    cwd: '/',
    path: environmentValue(environment, 'PATH'),
  });
  const kernel = openKernel();
  const filter = insecure.DisableSeccomp ? undefined : seccompFilter(app.app);
  const terminal = isatty(0) && isatty(1);
  const { slot } = takeSlot();
  const status = await relayStreams(kernel, {
    slot,
    terminal,
    plan: () =>
      encodePlan({
        app: app.name,
        executable,
        argv: command,
        environment,
        noNewPrivileges: noNewPrivileges(app.app, 0, false),
        filter: filter === undefined ? undefined : compileSeccomp(verdictsOf(filter)),
        terminal: terminal ? { rows: process.stdout.rows, columns: process.stdout.columns } : undefined,
      }),
  });
  if (status !== undefined) return status;
  writeStderr('enter: the pod has ended\n');
  return EXIT_FAILURE;
}

function runningApp(pod: LoadedPod, name: string | undefined): LoadedApp {
  const app = appNamed(pod, name);
  if (existsSync(onHost(pod.stage1, statusFileIn(app.name)))) {
    throw new KvmError('process-gone', `app ${quote(app.name)} is not running`);
  }
  return app;
}

// The lock ends with this process.
function takeSlot(): { readonly slot: number; readonly lock: FileLock } {
  for (let slot = 1; slot <= ENTER_SLOTS; slot += 1) {
    const lock = tryLockExclusive(enterSlotDir(slot));
    if (lock !== undefined) return { slot, lock };
  }
  throw new KvmError(
    'not-ready',
    `${ENTER_SLOTS} commands are in the pod already, which is all that it has room for`,
  );
}
