// Calls an entry point of a pod's stage1 as a child and waits for it: gc and stop (contract stage0 8.11).
// Runs in stage0.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { type EntryPointName, findEntryPoint } from '@rkt/pod-layout/entrypoints';
import { type PodDir, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { onHost } from '@rkt/pod-layout/stage1-paths';
import type { Annotation } from '@rkt/spec/annotations';

import { PodError } from './errors.ts';

/** Which entry point, and what with. */
export interface EntryPointCall {
  readonly name: EntryPointName;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** stop speaks to the user on both streams, gc on stderr only. */
  readonly stdout: 'inherit' | 'ignore';
  /** Exit statuses that say something, beside 0. */
  readonly meaningful?: readonly number[];
}

/**
 * Runs the entry point with the pod directory as working directory, and returns 0 or a meaningful exit status.
 * @throws PodError `stage1` when it cannot be started, fails, or is killed.
 */
export async function callEntryPoint(
  pod: PodDir,
  annotations: readonly Annotation[],
  call: EntryPointCall,
): Promise<number> {
  const program = onHost(stage1Rootfs(pod), findEntryPoint(annotations, call.name));
  const child = spawn(program, call.argv, {
    cwd: pod,
    env: { ...call.env },
    stdio: ['ignore', call.stdout, 'inherit'],
  });
  const [status, signal] = await once(child, 'exit').catch((cause: Error) => {
    throw new PodError('stage1', `cannot execute ${program}: ${cause.message}`);
  });
  if (signal !== null) throw new PodError('stage1', `${program} was killed by ${String(signal)}`);
  if (status !== 0 && !(call.meaningful ?? []).includes(status as number)) {
    throw new PodError('stage1', `${program} exited with status ${String(status)}`);
  }
  return status as number;
}
