// Which numeric user and groups an app runs as (contract 2.17). Runs in stage1, on the host.

import { lstatSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode, wrap } from '@rkt/diagnostics/rkt-error';
import { resolveInRoot } from '@rkt/linux/safe-path';
import { findGroup, findUser } from '@rkt/linux/user-db';
import { DOCKER_REPOSITORY_ANNOTATION } from '@rkt/pod-layout/entrypoints';
import type { UidRange } from '@rkt/pod-layout/files';

import { Stage1Error } from './errors.ts';
import type { LoadedApp } from './pod.ts';

/** Numeric identity of a process inside the pod. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
}

/** Ids above this are -1 and -2 in disguise: setresuid(2) takes -1 for "leave as it is". */
const MAX_ID = 0xffff_fffe;

/**
 * Resolves `app.user` and `app.group`: `root`, a number, the owner of a path in the app's root, or a name in its
 * passwd or group file. The primary group of passwd is not used.
 * @throws Stage1Error `unknown-user`
 */
export function resolveCredentials(loaded: LoadedApp, uidRange?: UidRange): Credentials {
  const { app, image, rootfs } = loaded;
  const uid = resolveId('user', app.user, rootfs, uidRange);
  const supplementaryGids = app.supplementaryGIDs ?? [];
  try {
    return { uid, gid: resolveId('group', app.group, rootfs, uidRange), supplementaryGids };
  } catch (error) {
    // Docker images name only a user; the conversion copies the name into the group, which may not exist.
    const fromDocker = (image.annotations ?? []).some(
      ({ name }) => name.toLowerCase() === DOCKER_REPOSITORY_ANNOTATION,
    );
    const sameName = image.app?.user === image.app?.group && app.group === image.app?.group;
    if (fromDocker && sameName) return { uid, gid: uid, supplementaryGids };
    throw error;
  }
}

type IdKind = 'user' | 'group';

function resolveId(kind: IdKind, text: string, rootfs: string, uidRange: UidRange | undefined): number {
  try {
    if (text === 'root') return 0;
    if (/^[+-]?[0-9]+$/.test(text)) return checkedId(Number(text));
    if (text.startsWith('/')) return ownerOf(kind, text, rootfs, uidRange);
    return idByName(kind, text, rootfs);
  } catch (cause) {
    throw wrap("unable to determine app's uid and gid", cause);
  }
}

function checkedId(id: number): number {
  if (id < 0 || id > MAX_ID) throw new Stage1Error('unknown-user', 'Invalid uid or gid');
  return id;
}

function ownerOf(kind: IdKind, file: string, rootfs: string, uidRange: UidRange | undefined): number {
  const shift = uidRange?.shift ?? 0;
  // Parents are resolved inside the app's root; the last component is looked at as it is.
  const parent = resolveInRoot(rootfs, dirname(resolve('/', file)));
  const base = basename(resolve('/', file));
  try {
    const stat = lstatSync(join(rootfs, parent, base));
    return checkedId((kind === 'user' ? stat.uid : stat.gid) - shift);
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    throw new Stage1Error(
      'unknown-user',
      `unable to get ${kind} of ${quote(file)}: no such file or directory`,
    );
  }
}

function idByName(kind: IdKind, name: string, rootfs: string): number {
  const id = kind === 'user' ? findUser(rootfs, name)?.uid : findGroup(rootfs, name)?.gid;
  if (id === undefined) throw new Stage1Error('unknown-user', `${quote(name)} ${kind} not found`);
  return checkedId(id);
}
