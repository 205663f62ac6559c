// Checks the stored layers of docker and OCI images against their digests. Runs in stage0.
//
// They appear whole and never change, so no lock is needed.

import { printable } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { DataDir } from '@rkt/pod-layout/data-dir';

import { dropLayer, layerProblem, storedLayers } from '../convert/layer-store.ts';
import { type CheckOptions, type Finding, finding, reasonOf } from './finding.ts';

/** Layers that are not what their digest says. @throws KernelError when they may not be looked at */
export function checkLayers(data: DataDir, options: CheckOptions): Finding[] {
  return storedLayers(data).flatMap((digest) => {
    const problem = problemOf(data, digest);
    if (problem === undefined) return [];
    return [
      finding(`layer ${printable(digest)}`, problem, options, 'dropped', () => dropLayer(data, digest)),
    ];
  });
}

function problemOf(data: DataDir, digest: string): string | undefined {
  try {
    return layerProblem(data, digest);
  } catch (error) {
    if (hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) throw error;
    return reasonOf(error);
  }
}
