// The group whose members may read pods and images (contract stage0 2.6). Runs in stage0.

import { findGroup } from '@rkt/linux/user-db';

/** Numeric id of the group `rkt`; undefined when the host has none. */
export function rktGroupId(): number | undefined {
  return findGroup('/', 'rkt')?.gid;
}
