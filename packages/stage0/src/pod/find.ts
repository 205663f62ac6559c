// From what a user typed to a pod, and over all pods (contract stage0 8.1 walks, 8.2). Runs in stage0.

import { readdirSync, readFileSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { LISTED_DIRECTORIES, type PodDirectoryName } from '@rkt/pod-layout/lifecycle';
import { podStateDir } from '@rkt/pod-layout/pod-paths';

import { CommandError } from '../cli/errors.ts';
import { PodError } from './errors.ts';
import { findPod, isMissing, lookAt, type PodSnapshot } from './pod.ts';

const UUID_NAME = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The one pod whose UUID starts with `argument`, in any case.
 * @throws PodError `bad-uuid` (empty), `no-match`, `ambiguous`.
 */
export function resolvePod(data: DataDir, argument: string): PodSnapshot {
  const uuid = resolveUuid(data, argument);
  const pod = findPod(data, uuid);
  if (pod === undefined) throw new PodError('no-match', `no matches found for ${quote(argument)}`);
  return pod;
}

function resolveUuid(data: DataDir, argument: string): string {
  const prefix = argument.toLowerCase();
  if (prefix === '') throw new PodError('bad-uuid', 'UUID cannot be empty');
  const matches = new Set<string>();
  for (const directory of LISTED_DIRECTORIES) {
    for (const name of podNames(data, directory)) if (name.startsWith(prefix)) matches.add(name);
  }
  const [first] = matches;
  if (first === undefined) throw new PodError('no-match', `no matches found for ${quote(argument)}`);
  if (matches.size > 1) {
    throw new PodError('ambiguous', `ambiguous uuid, ${matches.size} matches`, {
      hint: 'give more digits, `rkt list --full` shows them all',
    });
  }
  return first;
}

/**
 * The UUID argument in a --uuid-file.
 * @param status exit status of the command when the file cannot be read; 254 unless given.
 * @throws CommandError with the context `unable to resolve UUID from file`.
 */
export function readUuidFile(file: string, status?: number): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new CommandError('unable to resolve UUID from file', cause, status === undefined ? {} : { status });
  }
}

/**
 * Pods of the given state directories, sorted by UUID. What is no pod is named to the user and passed over.
 * @param look How to look at a pod, for callers that know some already.
 */
export function* walkPods(
  data: DataDir,
  directories: readonly PodDirectoryName[],
  logger: Logger,
  look: typeof lookAt = lookAt,
): Generator<PodSnapshot> {
  const names: (readonly [string, PodDirectoryName])[] = [];
  for (const directory of directories) {
    for (const name of podNames(data, directory, logger)) names.push([name, directory]);
  }
  names.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const [uuid, directory] of names) {
    try {
      // A pod that moved on since the directory was read is where it moved to, or gone.
      const pod = look(data, uuid, directory) ?? findPod(data, uuid);
      if (pod !== undefined && directories.includes(pod.directory)) yield pod;
    } catch (error) {
      logger.error(`skipping ${quote(uuid)}`, error);
    }
  }
}

function podNames(data: DataDir, directory: PodDirectoryName, logger?: Logger): string[] {
  let entries;
  try {
    entries = readdirSync(podStateDir(data, directory), { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory() && UUID_NAME.test(entry.name)) names.push(entry.name);
    else logger?.info(`unrecognized entry: ${quote(entry.name)}, ignoring`);
  }
  return names;
}
