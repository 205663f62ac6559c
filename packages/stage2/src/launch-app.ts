// Turns the calling process into the app's. Runs in the process that has rkt's pid (fly), in a child of `enter`, or
// in the pod as the program systemd starts. Synchronous throughout: it may run after unshare and setns.

import { readFileSync } from 'node:fs';

import { writeStderr } from '@rkt/diagnostics/logger';
import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { capabilityNumber } from '@rkt/linux/constants';
import { execProgram, nofileLimitAtStart } from '@rkt/linux/exec';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';

import { checkAppProcess } from './app-process.ts';
import type { AppProcess } from './app-process.ts';
import { diagnoseExecutable } from './diagnose.ts';
import { planLaunch } from './launch-plan.ts';
import type { CallerFacts, LaunchStep } from './launch-plan.ts';

/** Exit status of an app whose program cannot be executed: systemd's EXIT_EXEC (contract 2.7). */
export const EXIT_EXEC = 203;

/** What the shim does beside system calls; replaced in tests. */
export interface LaunchHost {
  readonly kernel: Kernel;
  readonly facts: CallerFacts;
  readonly setUmask: (mask: number) => void;
  readonly changeDirectory: (path: string) => void;
  /** Tells the user why the program does not start. */
  readonly explain: (line: string) => void;
  /** execve(2) with all descriptors closed but 0, 1, 2 and `keepOpen`. */
  readonly execute: (
    path: string,
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
    keepOpen: readonly number[],
  ) => never;
}

/** Becomes the app at once: {@link prepareLaunch}, and what it returns. */
export function launchApp(app: AppProcess, host?: LaunchHost): number {
  return prepareLaunch(app, host)();
}

/**
 * Finds out all that becoming the app takes. The function returned becomes it; it returns only when the program cannot
 * be executed: the reason is then on stderr, and the caller must end at once with the status returned,
 * {@link EXIT_EXEC}, for it is half the app already. It throws RktError when the kernel refuses a step.
 * @throws Stage2Error `bad-spec`
 */
export function prepareLaunch(app: AppProcess, host: LaunchHost = realHost()): () => number {
  checkAppProcess(app);
  const steps = planLaunch(app, host.facts);
  const environment = environmentOf(app);
  return () => {
    for (const step of steps) perform(step, host);
    try {
      host.execute(app.executable, app.argv, environment, app.keepOpen ?? []);
    } catch (error) {
      const why = diagnoseExecutable(app.executable);
      const code = ['ENOENT', 'EACCES', 'ENOEXEC', 'E2BIG', 'ETXTBSY'].find((name) => hasCode(error, name));
      host.explain(why ?? `Error: Unable to execute ${app.executable}: ${code ?? String(error)}`);
    }
    return EXIT_EXEC;
  };
}

function perform(step: LaunchStep, { kernel, setUmask, changeDirectory }: LaunchHost): void {
  switch (step.call) {
    case 'umask':
      return setUmask(step.mask);
    case 'chroot':
      return kernel.chroot(step.path);
    case 'chdir':
      try {
        return changeDirectory(step.path);
      } catch (cause) {
        throw wrap(`unable to change to working directory ${step.path}`, cause);
      }
    case 'setgroups':
      return kernel.setGroups(step.gids);
    case 'setresgid':
      return kernel.setResGid(step.gid, step.gid, step.gid);
    case 'drop-bounding':
      return kernel.dropBoundingCapability(step.capability);
    case 'clear-ambient':
      return kernel.clearAmbient();
    case 'keep-capabilities':
      return kernel.setKeepCaps(step.on);
    case 'setresuid':
      return kernel.setResUid(step.uid, step.uid, step.uid);
    case 'capset':
      return kernel.capSet(step);
    case 'raise-ambient':
      return kernel.raiseAmbient(step.capability);
    case 'no-new-privileges':
      return kernel.setNoNewPrivileges();
  }
}

// Without a prototype, so that a variable called __proto__ is one.
function environmentOf({ environment }: AppProcess): Record<string, string> {
  const variables = Object.create(null) as Record<string, string>;
  for (const { name, value } of environment) variables[name] = value;
  return variables;
}

// process.getgroups() adds the effective group, present or not.
function supplementaryGroups(): number[] {
  const line = /^Groups:(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '';
  return line.split(' ').filter(Boolean).map(Number);
}

function realHost(): LaunchHost {
  const kernel = openKernel();
  // Asks /proc, which the app's root need not have.
  const nofileSoftLimit = nofileLimitAtStart();
  return {
    kernel,
    facts: {
      uid: process.getuid?.() ?? -1,
      gid: process.getgid?.() ?? -1,
      groups: supplementaryGroups(),
      capabilities: () => ({
        ...kernel.capGet(),
        bounding: kernel.boundingCapabilities(),
        last: kernel.lastCapability(),
      }),
      capabilityNumber,
    },
    setUmask: (mask) => void process.umask(mask),
    changeDirectory: (path) => process.chdir(path),
    explain: (line) => writeStderr(`${line}\n`),
    execute: (path, argv, environment, keepOpen) =>
      execProgram(path, argv, environment, { keepOpen, nofileSoftLimit }),
  };
}
