// Unmounts everything below a directory without pulling mounts away from anybody else (contract stage1 1.15).
// Runs in stage0.

import type { Logger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { MNT_DETACH, MS_PRIVATE, MS_REC, UMOUNT_NOFOLLOW } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { mountsBelow, readMountInfo } from '@rkt/linux/mount-info';

/** Unmounts all mounts at and below `directory`, children first; busy ones are detached. */
export function unmountBelow(kernel: Kernel, directory: string, logger: Logger): void {
  const mounts = mountsBelow(readMountInfo(), directory);
  // What is shared with the host or with other pods must not be unmounted there too: parents first.
  for (const { mountPoint, optionalFields } of mounts.toReversed()) {
    if (optionalFields.length > 0) kernel.mount(null, mountPoint, null, MS_PRIVATE | MS_REC, null);
  }
  for (const { mountPoint } of mounts) {
    try {
      kernel.umount2(mountPoint, UMOUNT_NOFOLLOW);
    } catch (error) {
      if (hasCode(error, 'EINVAL') || hasCode(error, 'ENOENT')) continue; // gone with its parent
      if (!hasCode(error, 'EBUSY')) throw error;
      logger.info(`mount ${quote(mountPoint)} is busy, marking for lazy detach`);
      kernel.umount2(mountPoint, UMOUNT_NOFOLLOW | MNT_DETACH);
    }
  }
}
