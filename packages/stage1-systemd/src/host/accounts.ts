// Users and groups of the apps in stage1's own passwd and group files: systemd looks numbers up there, too (contract
// 2.17). Pure.

import type { Credentials } from '@rkt/stage1-base/user';

/** `passwd` and `group` with lines for everything the apps use and the files do not have. */
export function withAccounts(
  files: { readonly passwd: string; readonly group: string },
  apps: readonly Credentials[],
): { passwd: string; group: string } {
  const users = idsOf(files.passwd);
  const groups = idsOf(files.group);
  let { passwd, group } = files;
  for (const { uid, gid, supplementaryGids } of apps) {
    for (const id of [gid, ...supplementaryGids]) {
      if (groups.has(id)) continue;
      groups.add(id);
      group += `gen${id}:x:${id}:\n`;
    }
    if (users.has(uid)) continue;
    users.add(uid);
    passwd += `gen${uid}:x:${uid}:${gid}:gen${uid}:/:/bin/false\n`;
  }
  return { passwd, group };
}

// passwd(5) and group(5): the id is the third field of both.
function idsOf(file: string): Set<number> {
  return new Set(
    file
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Number(line.split(':')[2])),
  );
}
