// The host's time zone for the pod (contract 2.2, step 3). Runs in the run entry point, on the host.

import { copyFileSync, mkdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { onHost } from '@rkt/pod-layout/stage1-paths';

const LOCAL_TIME = '/etc/localtime';

/** Copies the file that /etc/localtime leads to, to the same path in stage1. A pod without it has UTC. */
export function mirrorTimeZone(root: Stage1Root): void {
  try {
    const file = path.resolve('/etc', readlinkSync(LOCAL_TIME));
    const copy = onHost(root, file);
    mkdirSync(path.dirname(copy), { recursive: true, mode: 0o755 });
    copyFileSync(file, copy);
  } catch {
    // Not a link, or not readable: no reason not to run a pod.
  }
}
