// The enter entry point: runs a command beside an app, in its namespaces and cgroups, with its environment, as root
// within what the app may do (contract 8.6; 10.1). stage0 takes this program from the tree store, never from the pod.
// Working directory P.
//
// Only children enter a PID namespace, and only a process of one thread enters a user namespace or lives under an app's
// filter of system calls. So this process joins what it can and becomes `confine`, which does the rest and waits for
// the command. No program or library of the pod runs before the command does (docs/decisions/0021).

import { constants, existsSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

import { writeStderr } from '@rkt/diagnostics/logger';
import { cgroupMode, hierarchies } from '@rkt/linux/cgroup';
import { AT_EMPTY_PATH, AT_FDCWD, capabilityNumber, O_DIRECTORY, O_PATH } from '@rkt/linux/constants';
import { execOpenProgram, nofileLimitAtStart } from '@rkt/linux/exec';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { parseEnterArguments } from '@rkt/pod-layout/entrypoints';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { appEnvironment, environmentValue } from '@rkt/stage1-base/app-env';
import { boundingSet } from '@rkt/stage1-base/capabilities';
import { lookUpProgram } from '@rkt/stage1-base/find-exec';
import type { RuntimeConfig } from '@rkt/pod-layout/runtime-config';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { appNamed, type LoadedApp } from '@rkt/stage1-base/pod';
import { loadPodQuickly } from '@rkt/stage1-base/quick-load-pod';
import { runningMetadataUrl } from '@rkt/stage1-base/metadata';
import { runtimeOptions } from '@rkt/stage1-base/runtime-options';
import { noNewPrivileges, seccompFilter, verdictsOf } from '@rkt/stage1-base/seccomp';
import { compileSeccomp } from '@rkt/stage1-base/seccomp-program';
import { diagnoseExecutable } from '@rkt/stage2/diagnose';

import { findAppProcess, findPodInit } from './app-process.ts';
import { type ConfinePlan, encodePlan, sealedFile } from './confine-plan.ts';
import { NspawnError } from './errors.ts';
import { joinCgroupsOf } from './join-cgroups.ts';
import { joinNamespaces } from './join-namespaces.ts';
import { podFilterProgram } from './pod-filter.ts';

/** systemd's exit status for a program that cannot be executed. */
const EXIT_EXEC = 203;

/** A terminal that everything knows. */
const DEFAULT_TERM = 'vt100';

/** The program this one becomes, beside it in the image. */
const CONFINE = 'usr/lib/rkt/confine';

/** Becomes the command's guard; returns an exit status when there is no such command. @throws RktError */
export async function enter({ args, env, cwd, program: self }: EntryPointCall): Promise<number> {
  const { pid: given, app: appName, command } = parseEnterArguments(args);
  const dir = podDir(cwd);
  const pod = await loadPodQuickly(cwd);
  const loaded = appNamed(pod, appName);
  const { insecure, mutable } = runtimeOptions(dir);
  const environment = [
    ...appEnvironment(loaded, runningMetadataUrl(dir)),
    { name: 'TERM', value: env['TERM'] ?? DEFAULT_TERM },
  ];
  const limits = { nofileSoftLimit: nofileLimitAtStart() };

  const kernel = openKernel();
  const mounted = hierarchies();
  const target = findAppProcess(findPodInit(dir, given), loaded.name, mounted);
  const targetFd = kernel.pidfdOpen(target);
  const rootFd = openSync(`/proc/${target}/root`, O_PATH | O_DIRECTORY);
  const confineFd = sealedFile(kernel, 'confine', readFileSync(path.join(path.dirname(self), CONFINE)));
  const plan = confinement(kernel, loaded, target, insecure);
  const userNamespace = otherUserNamespace(target) ? targetFd : undefined;
  const podFilter = podFilterProgram(pod, {
    allCapabilities: insecure.DisableCapabilities || mutable,
    devicePrograms: cgroupMode(mounted) === 'unified' && userNamespace === undefined,
  });
  // Before anything of the pod runs.
  const cgroup = joinCgroupsOf(target, mounted);
  const cgroupNamespace =
    cgroup === undefined ? undefined : openSync(`/proc/${target}/ns/cgroup`, constants.O_RDONLY);
  enterNamespaces(kernel, targetFd, rootFd, cgroup === undefined);
  const [program = '', ...words] = command;
  const executable = lookUpProgram('/', program, { cwd: '/', path: environmentValue(environment, 'PATH') });
  const reason = diagnoseExecutable(executable);
  if (reason !== undefined) {
    writeStderr(`${reason}\n`);
    return EXIT_EXEC;
  }
  kernel.setGroups([]);
  const planFd = sealedFile(
    kernel,
    'plan',
    encodePlan({
      ...plan,
      ...(userNamespace === undefined ? {} : { userNamespace }),
      ...(cgroup === undefined ? {} : { cgroup }),
      ...(cgroupNamespace === undefined ? {} : { cgroupNamespace }),
    }),
  );
  // What PID 1 of the pod was born with.
  kernel.setSeccompFilter(podFilter);
  return execOpenProgram(
    confineFd,
    ['confine', String(planFd), executable, program, ...words],
    variables(environment),
    {
      ...limits,
      keepOpen: [planFd, userNamespace, cgroup, cgroupNamespace].filter((fd) => fd !== undefined),
    },
  );
}

function confinement(
  kernel: Kernel,
  { app }: LoadedApp,
  target: number,
  { DisableCapabilities, DisableSeccomp }: RuntimeConfig['InsecureOptions'],
): ConfinePlan {
  const filter = DisableSeccomp ? undefined : seccompFilter(app);
  const { bounding, fixed } = privilegesOf(target);
  return {
    bounding: bounding & (DisableCapabilities ? kernel.boundingCapabilities() : maskOf(boundingSet(app))),
    noNewPrivileges: noNewPrivileges(app, 0, false) || fixed,
    ...labelOf(target),
    ...(filter === undefined ? {} : { filter: compileSeccomp(verdictsOf(filter)) }),
  };
}

// proc_pid_status(5). nspawn leaves out capabilities that mean nothing in a user namespace; apps of other users than root
// cannot gain privileges because of their filter.
function privilegesOf(pid: number): { bounding: bigint; fixed: boolean } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bounding = /^CapBnd:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return { bounding: BigInt(`0x${bounding}`), fixed: /^NoNewPrivs:\t1$/m.test(status) };
}

// Of a process that SELinux confines in another way than this one.
function labelOf(pid: number): { readonly label?: string } {
  if (!existsSync('/sys/fs/selinux/enforce')) return {};
  const [label, own] = [pid, 'self'].map((process) =>
    readFileSync(`/proc/${process}/attr/current`, 'latin1').replace(/[\0\n]+$/, ''),
  );
  return label === own || label === undefined ? {} : { label };
}

// A name the kernel does not know grants nothing.
function maskOf(names: readonly string[]): bigint {
  return names.reduce((mask, name) => {
    const number = capabilityNumber(name);
    return number === undefined ? mask : mask | (1n << BigInt(number));
  }, 0n);
}

function otherUserNamespace(pid: number): boolean {
  return readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync('/proc/self/ns/user');
}

function enterNamespaces(kernel: Kernel, targetFd: number, rootFd: number, cgroups: boolean): void {
  joinNamespaces(kernel, targetFd, { cgroups });
  const [wanted, here] = [kernel.statAt(rootFd, '', AT_EMPTY_PATH), kernel.statAt(AT_FDCWD, '/', 0)];
  if (
    wanted.inode !== here.inode ||
    wanted.deviceMajor !== here.deviceMajor ||
    wanted.deviceMinor !== here.deviceMinor
  ) {
    throw new NspawnError('process-gone', "the app's root is not where it was");
  }
}

function variables(
  environment: readonly { readonly name: string; readonly value: string }[],
): Record<string, string> {
  const result = Object.create(null) as Record<string, string>;
  for (const { name, value } of environment) result[name] = value;
  return result;
}
