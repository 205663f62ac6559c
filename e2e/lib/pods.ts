// Pods that stay while a test looks at them. Runs in the mocha process.

import { existsSync, readFileSync } from 'node:fs';

import { INSECURE, type Rkt } from './rkt.ts';
import { eventually, type Running } from './process.ts';

/** A pod that was started by {@link startPod}. */
export interface StartedPod {
  readonly running: Running;
  readonly uuid: string;
}

/** The UUID of a pod that was started with --uuid-file-save: the file has it as soon as it is there. */
export async function uuidOf(running: Running, file: string): Promise<string> {
  await eventually('a UUID', () => running.isOver || existsSync(file), 30_000);
  if (running.isOver) throw new Error(`the pod has ended:\n${running.output}`);
  return readFileSync(file, 'utf8');
}

/** Starts `rkt run` with these words and waits until the pod says that it is ready. */
export async function startPod(rkt: Rkt, words: readonly string[]): Promise<StartedPod> {
  const file = rkt.tmp.join(`pod-${process.hrtime.bigint()}`);
  const running = rkt.start([INSECURE, 'run', `--uuid-file-save=${file}`, ...words]);
  const uuid = await uuidOf(running, file);
  await rkt.ok(['status', '--wait-ready=60s', uuid]);
  return { running, uuid };
}
