// The journal's directory in stage1, readable by the group `rkt` of the host (contract 2.14). Runs in the run entry
// point, on the host.

import { mkdirSync } from 'node:fs';

import type { Kernel } from '@rkt/linux/kernel';
import { findGroup } from '@rkt/linux/user-db';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost } from '@rkt/pod-layout/stage1-paths';

const RKT_GROUP = 'rkt';

/** Makes the directory; `debug` hears why people of the group `rkt` will not be able to read it. */
export function prepareJournal(kernel: Kernel, root: Stage1Root, debug: (line: string) => void): void {
  const directory = onHost(root, JOURNAL_DIR);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  try {
    const gid = findGroup('/', RKT_GROUP)?.gid;
    if (gid === undefined) throw new Error(`no group ${RKT_GROUP}`);
    kernel.setXattr(directory, 'system.posix_acl_default', groupReadAcl(gid));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    debug(`warning: error setting journal ACLs, you'll need root to read the pod journal: ${reason}`);
  }
}

// posix_acl_xattr.h: version 2, then entries of tag, permissions and id.
const VERSION = 2;
const NO_ID = 0xffff_ffff;
const [USER_OWNER, GROUP_OWNER, GROUP, MASK, OTHER] = [0x01, 0x04, 0x08, 0x10, 0x20];
const [READ_WRITE_ENTER, READ_ENTER] = [7, 5];

/** The ACL `u::rwx,g::r-x,g:GID:r-x,m::r-x,o::r-x` as the kernel takes it. */
export function groupReadAcl(gid: number): Buffer {
  const entries: [tag: number, permissions: number, id: number][] = [
    [USER_OWNER, READ_WRITE_ENTER, NO_ID],
    [GROUP_OWNER, READ_ENTER, NO_ID],
    [GROUP, READ_ENTER, gid],
    [MASK, READ_ENTER, NO_ID],
    [OTHER, READ_ENTER, NO_ID],
  ];
  const acl = Buffer.alloc(4 + entries.length * 8);
  acl.writeUInt32LE(VERSION, 0);
  entries.forEach(([tag, permissions, id], index) => {
    const offset = 4 + index * 8;
    acl.writeUInt16LE(tag, offset);
    acl.writeUInt16LE(permissions, offset + 2);
    acl.writeUInt32LE(id, offset + 4);
  });
  return acl;
}
