// Calls the entry points that change a running pod (contract stage1 1.6). Runs in stage0.

import { crossingEnvironment, EXIT_NO_SUCH_UNIT, printAppArguments } from '@rkt/pod-layout/crossing';
import { findEntryPoint } from '@rkt/pod-layout/entrypoints';
import { stage1Rootfs } from '@rkt/pod-layout/pod-paths';

import { duringAsync } from '../pod/context.ts';
import { callEntryPoint } from '../pod/entry-point.ts';
import type { PodSnapshot } from '../pod/pod.ts';
import { readStage1Annotations } from '../pod/summary.ts';
import { waitForInit } from '../pod/wait.ts';

export type AppVerb = 'add' | 'rm' | 'start' | 'stop';

/** What one call needs beside the pod. */
export interface Crossing {
  readonly app: string;
  readonly debug: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** Calls `app/<verb>`. Returns false when there was nothing to stop. @throws CommandError */
export async function cross(
  pod: PodSnapshot,
  verb: AppVerb,
  { app, debug, env }: Crossing,
): Promise<boolean> {
  const annotations = readStage1Annotations(pod.dir);
  const root = stage1Rootfs(pod.dir);
  const status = await duringAsync('error executing stage1 entrypoint', async () =>
    callEntryPoint(pod.dir, annotations, {
      name: `app/${verb}`,
      argv: printAppArguments({ debug, app, ...(verb === 'add' ? { uuid: pod.uuid } : {}) }),
      env: crossingEnvironment(
        root,
        findEntryPoint(annotations, 'enter'),
        await waitForInit(pod),
        env['PATH'] || undefined,
      ),
      stdout: debug ? 'inherit' : 'ignore',
      meaningful: verb === 'stop' ? [EXIT_NO_SUCH_UNIT] : [],
    }),
  );
  return status !== EXIT_NO_SUCH_UNIT;
}
