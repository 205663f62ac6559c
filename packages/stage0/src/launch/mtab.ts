// Gives every app that has an /etc without mtab the link that tools expect (contract stage1 1.9). Runs in stage0.

import { closeSync } from 'node:fs';

import { AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_RDONLY } from '@rkt/linux/constants';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { Kernel } from '@rkt/linux/kernel';
import { openInRoot, openRoot } from '@rkt/linux/safe-path';

const MTAB = 'mtab';
const MOUNTS = '../proc/self/mounts';

/** Creates etc/mtab below `rootfs`; the image's own /etc may be a link, but never one that leaves the app. `shift` is that of a pod with users of its own. */
export function linkMtab(kernel: Kernel, rootfs: string, shift = 0): void {
  const root = openRoot(rootfs);
  try {
    const etc = openInRoot(root, 'etc', O_RDONLY | O_DIRECTORY);
    try {
      kernel.symlinkAt(MOUNTS, etc, MTAB);
      if (shift !== 0) kernel.fchownAt(etc, MTAB, shift, shift, AT_SYMLINK_NOFOLLOW);
    } finally {
      closeSync(etc);
    }
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'EEXIST', 'ELOOP'].some((code) => hasCode(error, code))) throw error;
  } finally {
    closeSync(root);
  }
}
