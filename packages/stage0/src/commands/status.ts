// `rkt status` (contract stage0 8.16). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { hasRun } from '@rkt/pod-layout/lifecycle';
import { describeNetworks } from '@rkt/pod-layout/net-info';

import { absoluteTime } from '../cli/output.ts';
import type { Invocation, StatusFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { during, duringAsync } from '../pod/context.ts';
import { readUuidFile, resolvePod } from '../pod/find.ts';
import { findPod, type PodSnapshot } from '../pod/pod.ts';
import { createdAt, exitStatus, readNetworks, shownPid, startedAt, statusRoot } from '../pod/record.ts';
import { summarizeManifest } from '../pod/summary.ts';
import { hasManifest, viewPod } from '../pod/view.ts';
import { waitForEnd, waitForReady } from '../pod/wait.ts';

/** Exit status when --uuid-file cannot be read. */
const EXIT_UNREADABLE_UUID_FILE = 1;

export async function run({ global, flags, args }: Invocation<StatusFlags>): Promise<number> {
  const argument =
    flags.uuidFile === undefined ? (args[0] ?? '') : readUuidFile(flags.uuidFile, EXIT_UNREADABLE_UUID_FILE);
  const data = await resolveDataDir(global);
  const pod = during('problem retrieving pod', () => resolvePod(data, argument));
  if (flags.waitReadyMs !== undefined) {
    const limitMs = flags.waitReadyMs;
    await duringAsync('error waiting for pod readiness', () => waitForReady(pod, limitMs));
  }
  if (flags.waitMs !== undefined) {
    const limitMs = flags.waitMs;
    await duringAsync('error waiting for pod to finish', () => waitForEnd(pod, limitMs));
  }
  const now = findPod(data, pod.uuid) ?? pod;
  writeStdout(flags.format === '' ? lines(now) : `${await json(now, flags.format === 'json-pretty')}\n`);
  return 0;
}

function lines(pod: PodSnapshot): string {
  const started = startedAt(pod);
  const out = [`state=${pod.phase}`, `created=${absoluteTime(createdAt(pod.dir))}`];
  if (started !== undefined) out.push(`started=${absoluteTime(started)}`);
  if (pod.phase === 'running' || pod.phase === 'exited') {
    out.push(`networks=${describeNetworks(readNetworks(pod.dir))}`);
  }
  if (hasRun(pod.phase) && pod.phase !== 'garbage') out.push(...runLines(pod));
  return `${out.join('\n')}\n`;
}

function runLines(pod: PodSnapshot): string[] {
  const pid = shownPid(pod.dir);
  const exited = pod.phase === 'exited' || pod.phase === 'exited garbage';
  const out = [...(pid === undefined ? [] : [`pid=${pid}`]), `exited=${exited}`];
  if (pod.phase === 'running' || !hasManifest(pod.phase)) return out;
  const root = statusRoot(pod.dir);
  for (const { name } of summarizeManifest(pod.dir).apps) {
    const code = exitStatus(root, name);
    if (code !== undefined) out.push(`app-${name}=${code}`);
  }
  return out;
}

async function json(pod: PodSnapshot, pretty: boolean): Promise<string> {
  const { stringifyGoJson } = await import('@rkt/spec/go-json');
  return stringifyGoJson(viewPod(pod), pretty ? { indent: '\t' } : {});
}
