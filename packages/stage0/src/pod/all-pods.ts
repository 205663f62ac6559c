// What all pods of a data directory have recorded for themselves, so that the next gets something else. Runs in stage0.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { POD_DIRECTORIES } from '@rkt/pod-layout/lifecycle';
import { type PodDir, podStateDir } from '@rkt/pod-layout/pod-paths';

/** Reads one file of every pod, in whatever state, that has it and in which `parse` finds what it looks for. */
export function recordsOfPods<Found>(
  data: DataDir,
  file: (pod: PodDir) => string,
  parse: (text: string) => Found,
): Found[] {
  return POD_DIRECTORIES.flatMap((state) => {
    const directory = podStateDir(data, state);
    return orNothing(() => readdirSync(directory)).flatMap((name) =>
      orNothing(() => [parse(readFileSync(file(path.join(directory, name) as PodDir), 'utf8'))]),
    );
  });
}

// Pods come and go; most have recorded nothing.
function orNothing<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR') || hasCode(error, 'bad-file')) return [];
    throw error;
  }
}
