// systemd in a pod watches three things, and the kernel counts that for the user: 128 by default, enough for 42 pods of
// root. Without one systemd says "Failed to allocate manager object", and the pod ends with 255. Runs in the run entry
// point.

import { closeSync, readFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { Kernel } from '@rkt/linux/kernel';

import { NspawnError } from './errors.ts';

/** The time zone, mounts, and questions for passwords. */
const WATCHES = 3;

const LIMIT = '/proc/sys/fs/inotify/max_user_instances';

/** Finds out whether one more pod can be watched. @throws NspawnError `no-room` */
export function checkInotify(kernel: Kernel): void {
  const opened: number[] = [];
  try {
    for (let watch = 0; watch < WATCHES; watch += 1) opened.push(kernel.inotifyInit());
  } catch (cause) {
    if (!hasCode(cause, 'EMFILE')) throw cause;
    const limit = readFileSync(LIMIT, 'latin1').trim();
    throw new NspawnError(
      'no-room',
      `this host lets root watch ${limit} things with inotify, and all are in use`,
      {
        cause,
        hint: `end other pods, or raise sysctl fs.inotify.max_user_instances: each pod takes ${WATCHES}`,
      },
    );
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
