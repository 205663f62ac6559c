// Libraries of ours that qemu and virtiofsd of the host are started with (LD_PRELOAD). Pure.

import { STAGE1_ROOTFS_HERE } from '@rkt/pod-layout/pod-paths';

/**
 * Where the library is that tools/build-stage1/NAME.c becomes, from the pod directory: the loader takes blanks and
 * colons, which absolute paths may have, for separators.
 */
export function hostLibrary(name: 'vm-exit' | 'vm-killed'): string {
  return `./${STAGE1_ROOTFS_HERE}/usr/lib/rkt/${name}.so`;
}
