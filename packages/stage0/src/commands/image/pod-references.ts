// What pods still need of the stores (contract stage0 7.10). Runs in stage0.

import { readdirSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { LISTED_DIRECTORIES } from '@rkt/pod-layout/lifecycle';
import { appsInfoDir, appTreeIdFile, type PodDir, stage1TreeIdFile } from '@rkt/pod-layout/pod-paths';
import { type ImageKey } from '@rkt/spec/image-id';

import { walkPods } from '../../pod/find.ts';
import { isMissing } from '../../pod/pod.ts';
import { readIfThere } from '../../pod/record.ts';
import { summarizeManifest } from '../../pod/summary.ts';

/** IDs of the trees of all pods that are not garbage yet. */
export function treesOfPods(data: DataDir, logger: Logger): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { dir } of walkPods(data, LISTED_DIRECTORIES, logger)) {
    for (const file of [stage1TreeIdFile(dir), ...appNames(dir).map((app) => appTreeIdFile(dir, app))]) {
      const id = readIfThere(file);
      if (id !== undefined) ids.add(id);
    }
  }
  return ids;
}

/** Keys of the images whose apps are running. */
export function imagesOfRunningPods(data: DataDir, logger: Logger): ReadonlySet<ImageKey> {
  const keys = new Set<ImageKey>();
  for (const { dir, phase } of walkPods(data, ['run'], logger)) {
    if (phase !== 'running') continue;
    // A pod manifest has IDs, which may be longer than keys.
    for (const { imageId } of summarizeManifest(dir).apps) keys.add(imageId.slice(0, KEY_LENGTH));
  }
  return keys;
}

const KEY_LENGTH = 71;

function appNames(pod: PodDir): string[] {
  try {
    return readdirSync(appsInfoDir(pod));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
