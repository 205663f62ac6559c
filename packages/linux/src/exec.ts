// Replaces this process by another program, as a C program would: with the descriptors that were chosen, and
// without the traces node leaves. Runs in stage0 (to stage1), in stage1 (to nspawn or the app) and in the shim.

import { readFileSync } from 'node:fs';

import { RLIMIT_NOFILE, RLIM_INFINITY, SIGPIPE, SIGUSR1, SIGXFSZ } from './constants.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './libc.ts';

/** Options of {@link execProgram}. */
export interface ExecOptions {
  /** Descriptors above 2 that the new program gets (a lock, sockets of LISTEN_FDS); all others are closed. */
  readonly keepOpen?: readonly number[];
  /** Soft limit on open files for the new program; {@link nofileLimitAtStart} by default. */
  readonly nofileSoftLimit?: bigint;
}

/**
 * execve(2). `argv` holds the name of the program first; the environment is exactly `env`. Throws KernelError when
 * the program cannot be started; `keepOpen` is then no longer close-on-exec, so end soon.
 */
export function execProgram(
  path: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  options: ExecOptions = {},
): never {
  const kernel = openKernel();
  undoNode(kernel, options);
  // Not process.execve, which first ends node's environment and loads its workers: 2 ms.
  return kernel.execve(path, argv, variablesOf(env));
}

/** {@link execProgram} of a file that is open, whatever its path leads to: it may have none. Not for scripts. */
export function execOpenProgram(
  fd: number,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  options: ExecOptions = {},
): never {
  const kernel = openKernel();
  undoNode(kernel, options);
  return kernel.execveFd(fd, argv, variablesOf(env));
}

function undoNode(
  kernel: Kernel,
  { keepOpen = [], nofileSoftLimit = nofileLimitAtStart() }: ExecOptions,
): void {
  // Also what our own parent leaked to us: a pod gets what was chosen and nothing else.
  kernel.setCloseOnExecFrom(3);
  for (const fd of [...STANDARD_STREAMS, ...keepOpen]) kernel.setCloseOnExec(fd, false);
  // node ignores these two, and an ignored signal stays ignored across execve.
  kernel.resetSignal(SIGPIPE);
  kernel.resetSignal(SIGXFSZ);
  // It blocks this one where it is told to open no debugger, and a blocked signal stays blocked as well.
  kernel.unblockSignal(SIGUSR1);
  const { soft, hard } = kernel.getRlimit(RLIMIT_NOFILE);
  if (soft !== nofileSoftLimit) kernel.setRlimit(RLIMIT_NOFILE, nofileSoftLimit, hard);
}

function variablesOf(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

const STANDARD_STREAMS = [0, 1, 2];

let nofileAtStart: bigint | undefined;

/**
 * The soft limit on open files this process was started with. node raises it to the hard limit before any of our
 * code runs and the kernel keeps no record, so it is worked out, once, from what remains:
 *
 * 1. soft differs from hard: node did not raise it, so it is as it was.
 * 2. The parent has the same hard limit: a child starts with its parent's limits, so the answer is the parent's soft
 *    limit. This is exact for shells and services of any kind, and also when the parent is a node that raised its own.
 * 3. The parent has another hard limit (or cannot be read, or is gone): the limits were set between fork and exec.
 *    524288 is systemd's default hard limit and comes with a soft limit of 1024 (systemd-system.conf(5),
 *    DefaultLimitNOFILE). `LimitNOFILE=N`, `ulimit -n N` and limits.conf `-` set both alike, so soft was hard.
 *
 * It is wrong only where the soft limit alone was changed between fork and exec; then pass `nofileSoftLimit`.
 */
export function nofileLimitAtStart(): bigint {
  nofileAtStart ??= guessNofileLimit(openKernel().getRlimit(RLIMIT_NOFILE), parentNofileLimits());
  return nofileAtStart;
}

const SYSTEMD_DEFAULT_HARD = 524288n;
const SYSTEMD_DEFAULT_SOFT = 1024n;

/** The rule of {@link nofileLimitAtStart} over given limits. */
export function guessNofileLimit(
  own: { readonly soft: bigint; readonly hard: bigint },
  parent: { readonly soft: bigint; readonly hard: bigint } | undefined,
): bigint {
  if (own.soft !== own.hard) return own.soft;
  if (parent?.hard === own.hard) return parent.soft;
  return own.hard === SYSTEMD_DEFAULT_HARD ? SYSTEMD_DEFAULT_SOFT : own.hard;
}

/** The soft and hard limits on open files in the text of /proc/PID/limits; undefined when it has no such line. */
export function parseNofileLimits(text: string): { soft: bigint; hard: bigint } | undefined {
  const match = /^Max open files +(\d+|unlimited) +(\d+|unlimited) /m.exec(text);
  if (match === null) return undefined;
  const value = (word = ''): bigint => (word === 'unlimited' ? RLIM_INFINITY : BigInt(word));
  return { soft: value(match[1]), hard: value(match[2]) };
}

function parentNofileLimits(): { soft: bigint; hard: bigint } | undefined {
  try {
    return parseNofileLimits(readFileSync(`/proc/${process.ppid}/limits`, 'latin1'));
  } catch {
    // No /proc, or a parent outside this pid namespace (0).
    return undefined;
  }
}
