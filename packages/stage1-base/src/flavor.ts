// P/flavor: which flavour of stage1 the pod has, for gc after a reboot, when stage1's root is no longer mounted
// (contract 1.7). Runs in the run entry point.

import { readlinkSync, symlinkSync } from 'node:fs';

import { wrap } from '@rkt/diagnostics/rkt-error';
import { flavorLink } from '@rkt/pod-layout/pod-paths';
import type { PodDir, Stage1Root } from '@rkt/pod-layout/pod-paths';
import { onHost } from '@rkt/pod-layout/stage1-paths';

/** Copies the image's own link. */
export function linkFlavor(pod: PodDir, root: Stage1Root): void {
  let flavor: string;
  try {
    flavor = readlinkSync(onHost(root, '/flavor'));
  } catch (cause) {
    throw wrap('failed to get stage1 flavor', cause);
  }
  try {
    symlinkSync(flavor, flavorLink(pod));
  } catch (cause) {
    throw wrap('failed to create flavor symlink', cause);
  }
}
