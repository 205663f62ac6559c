// `rkt list` (contract stage0 8.14). Runs in stage0.

import { createLogger, type Logger, writeStdout } from '@rkt/diagnostics/logger';
import { LISTED_DIRECTORIES } from '@rkt/pod-layout/lifecycle';
import { describeNetworks } from '@rkt/pod-layout/net-info';
import { listHash } from '@rkt/spec/image-id';

import type { Invocation, ListFlags } from '../cli/requests.ts';
import { absoluteTime, formatTable, printListErrors, relativeTime } from '../cli/output.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { walkPods } from '../pod/find.ts';
import { findPod, type PodSnapshot } from '../pod/pod.ts';
import { createdAt, manifestError, readNetworks, startedAt } from '../pod/record.ts';
import { type AppSummary, summarizeManifest } from '../pod/summary.ts';
import { hasManifest, viewPod } from '../pod/view.ts';

export async function run({ command, global, flags }: Invocation<ListFlags>): Promise<number> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const data = await resolveDataDir(global);
  const pods = walkPods(data, LISTED_DIRECTORIES, logger);
  const errors: unknown[] = [];
  const text =
    flags.format === ''
      ? await table(pods, flags, errors)
      : await json(pods, flags.format === 'json-pretty', errors);
  writeStdout(`${text}\n`);
  report(errors, logger);
  return 0;
}

async function table(
  pods: Iterable<PodSnapshot>,
  { full, noLegend }: ListFlags,
  errors: unknown[],
): Promise<string> {
  const legend = [
    'UUID',
    'APP',
    'IMAGE NAME',
    ...(full ? ['IMAGE ID'] : []),
    'STATE',
    'CREATED',
    'STARTED',
    'NETWORKS',
  ];
  const rows = noLegend ? [] : [legend];
  for (const pod of pods) {
    try {
      rows.push(...podRows(pod, full));
    } catch (error) {
      if (!hasMovedOn(pod)) errors.push(manifestError(pod.uuid, error));
    }
  }
  return formatTable(rows);
}

// The first app's row carries the pod's own cells.
function podRows(pod: PodSnapshot, full: boolean): string[][] {
  const apps = hasManifest(pod.phase) ? summarizeManifest(pod.dir).apps : [];
  const time = full ? absoluteTime : relativeTime;
  const created = createdAt(pod.dir);
  const started = startedAt(pod);
  const state = [
    pod.phase,
    time(created),
    started === undefined ? '' : time(started),
    describeNetworks(readNetworks(pod.dir)),
  ];
  const cells =
    apps.length === 0 ? [['-', '-', ...(full ? ['-'] : [])]] : apps.map((app) => appCells(app, full));
  return cells.map((app, index) =>
    index === 0 ? [full ? pod.uuid : pod.uuid.slice(0, 8), ...app, ...state] : ['', ...app, '', '', '', ''],
  );
}

function appCells({ name, imageName, imageId }: AppSummary, full: boolean): string[] {
  return [name, imageName ?? '--', ...(full ? [listHash(imageId)] : [])];
}

async function json(pods: Iterable<PodSnapshot>, pretty: boolean, errors: unknown[]): Promise<string> {
  const { stringifyGoJson } = await import('@rkt/spec/go-json');
  const views = [];
  for (const pod of pods) {
    try {
      const view = viewPod(pod);
      if (view.created_at === undefined) errors.push(new Error(`pod ${pod.uuid}: invalid creation time`));
      else views.push(view);
    } catch (error) {
      if (!hasMovedOn(pod)) errors.push(manifestError(pod.uuid, error));
    }
  }
  return stringifyGoJson(views.length === 0 ? null : views, pretty ? { indent: '\t' } : {});
}

function report(errors: readonly unknown[], logger: Logger): void {
  if (errors.length > 0) printListErrors(errors, 'listing pods', logger);
}

// A pod that another command deletes or moves while it is read is not broken.
function hasMovedOn(pod: PodSnapshot): boolean {
  return pod.phase === 'exited deleting' || findPod(pod.data, pod.uuid)?.phase !== pod.phase;
}
