// Whether pods can use overlayfs on this host (contract stage0 8.9, stage1 1.8). Runs in stage0.

import { writeStderr } from '@rkt/diagnostics/logger';
import { idMappedLayerSupport } from '@rkt/linux/id-mapped-mount';
import { overlaySupport } from '@rkt/linux/overlay';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import type { PodDir } from '@rkt/pod-layout/pod-paths';

import { PodError } from '../pod/errors.ts';
import { usesOverlay } from '../pod/record.ts';

/** Whether pods of this data directory can use overlay; says why not, once (contract stage1 1.8). */
export function overlayUsable(data: DataDir): boolean {
  const support = overlaySupport(data);
  if (!support.supported) writeStderr(`disabling overlay support: "${support.reason}"\n`);
  return support.supported;
}

/** Whether overlays can show trees of this data directory as other users' (docs/decisions/0023). */
export function mappedTreesUsable(data: DataDir, debug: (line: string) => void): boolean {
  const support = idMappedLayerSupport(data);
  if (!support.supported) debug(`copying trees for users of the pod: ${support.reason}`);
  return support.supported;
}

/** @throws PodError `wrong-state` when the pod was prepared with overlay and overlay no longer works. */
export function checkOverlayStillUsable(data: DataDir, pod: PodDir): void {
  if (usesOverlay(pod) && !overlaySupport(data).supported) {
    throw new PodError('wrong-state', 'unable to run prepared overlay-enabled pod: overlay not supported');
  }
}
