// Users and groups of the apps: those that systemd takes, and lines for them in stage1's own passwd and group files, where
// it looks numbers up, too (contract 2.17). Pure.

import type { UidRange } from '@rkt/pod-layout/files';
import type { Credentials } from '@rkt/stage1-base/user';

import { SystemdError } from '../errors.ts';

/** -1 in 16 bits: systemd loads no unit with it, and the pod would wait for its app for ever. */
const NO_ID = 0xffff;

/** Refuses ids that no process of the pod can have. @throws SystemdError `bad-user` */
export function checkCredentials(
  { uid, gid, supplementaryGids }: Credentials,
  range: Pick<UidRange, 'count'> | undefined,
): void {
  const ids = [uid, gid, ...supplementaryGids];
  if (range !== undefined && ids.some((id) => id >= range.count)) {
    throw new SystemdError('bad-user', `uid ${uid} or gid ${gid} are out of range ${range.count}`);
  }
  if (ids.includes(NO_ID)) {
    throw new SystemdError('bad-user', `Invalid uid or gid: systemd runs nothing as ${NO_ID}`);
  }
}

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
