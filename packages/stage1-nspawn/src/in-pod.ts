// Works inside a pod that runs, as its PID 1 would: mounts, and asks its systemd. Runs in the entry points app/*, which
// start on the host.
//
// The root there is stage1's, which no app can write: apps have mount namespaces and roots of their own.

import { spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';

import type { Kernel } from '@rkt/linux/kernel';
import { RKT_STAGE1_ENTERPID } from '@rkt/pod-layout/environment';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';

import { findPodInit } from './app-process.ts';
import { NspawnError } from './errors.ts';
import { joinNamespaces } from './join-namespaces.ts';

/** Joins the namespaces of the pod's PID 1. @throws KernelError; NspawnError `process-gone` */
export function enterPod(kernel: Kernel, pod: PodDir, env: EntryPointCall['env']): void {
  const init = findPodInit(pod, Number(env[RKT_STAGE1_ENTERPID] ?? '0'));
  const fd = kernel.pidfdOpen(init);
  joinNamespaces(kernel, fd);
  closeSync(fd);
}

const SYSTEMCTL = '/usr/bin/systemctl';

/** What systemctl(1) of the pod answered. */
export interface Answer {
  readonly status: number;
  readonly output: string;
}

/** Runs systemctl in the pod, which must have been entered. @throws NspawnError `process-gone` when it cannot run */
export function askSystemd(...words: string[]): Answer {
  const { status, stdout, stderr, error } = spawnSync(SYSTEMCTL, words, {
    cwd: '/',
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined) {
    throw new NspawnError('process-gone', `cannot run ${SYSTEMCTL} in the pod: ${error.message}`);
  }
  return { status: status ?? 1, output: `${stdout}${stderr}`.trim() };
}

/** {@link askSystemd} for what must not fail. @throws NspawnError `refused` with systemd's words */
export function tellSystemd(...words: string[]): void {
  const { status, output } = askSystemd(...words);
  if (status !== 0) throw new NspawnError('refused', `systemctl ${words.join(' ')}: ${output}`);
}
