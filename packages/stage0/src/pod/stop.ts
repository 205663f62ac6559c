// Stops a running pod through its stage1 (contract stage0 8.17, stage1 8.7). Runs in stage0.

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { printStopArguments } from '@rkt/pod-layout/entrypoints';

import { PodError } from './errors.ts';
import { callEntryPoint } from './entry-point.ts';
import type { PodSnapshot } from './pod.ts';
import { readStage1Annotations } from './summary.ts';

/** Asks the pod's stage1 to stop it, or with `force` to kill it. Returns once stage1 has been told. */
export async function stopPod(
  pod: PodSnapshot,
  force: boolean,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    await callEntryPoint(pod.dir, readStage1Annotations(pod.dir), {
      name: 'stop',
      argv: printStopArguments({ force, uuid: pod.uuid }),
      env,
      stdout: 'inherit',
    });
  } catch (cause) {
    if (hasCode(cause, 'entrypoint-missing')) {
      throw new PodError('stage1', `rkt stop not implemented for pod's stage1: ${(cause as Error).message}`);
    }
    throw cause;
  }
}
