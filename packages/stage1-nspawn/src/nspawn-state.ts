// systemd-nspawn keeps locks and a propagation directory below /run/systemd/nspawn. Where /run is an ordinary disk it
// refuses to clean up and complains on stderr, and what it leaves is for nobody. Runs in the run entry point, in the
// pod's own mount namespace.

import { mkdirSync } from 'node:fs';

import { MS_NODEV, MS_NOSUID, TMPFS_MAGIC } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';

const STATE = '/run/systemd/nspawn';

/** Gives nspawn a place of its own there, unless /run is one that forgets. */
export function hideNspawnState(kernel: Kernel): void {
  if (kernel.statFs('/run').type === TMPFS_MAGIC) return;
  mkdirSync(STATE, { recursive: true, mode: 0o755 });
  kernel.mount('tmpfs', STATE, 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=755,nr_inodes=1k,size=1m');
}
