// Users and groups from etc/passwd and etc/group under a given root (passwd(5), group(5)), never the host's name
// service: an image has its own. Runs in stage0 (group `rkt` of the host) and stage1 (users of an image).

import { closeSync } from 'node:fs';

import { KernelError } from './errno.ts';
import { openRoot, readFileInRoot } from './safe-path.ts';

// An image could hold anything here; real files are a few kilobytes.
const MAX_BYTES = 16 * 1024 * 1024;

/** A line of etc/passwd. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** A line of etc/group. */
export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** All users of the tree, in file order; none when it has no etc/passwd. Lines that make no sense are skipped. */
export function readUsers(root: string, wanted: LineFilter = () => true): User[] {
  return readDatabase(root, 'etc/passwd', wanted).flatMap(
    ([name = '', , uid = '', gid = '', , home = '', shell = '']) => {
      const [userId, groupId] = [parseId(uid), parseId(gid)];
      return name === '' || userId === undefined || groupId === undefined
        ? []
        : [{ name, uid: userId, gid: groupId, home, shell }];
    },
  );
}

/** All groups of the tree, in file order; none when it has no etc/group. Lines that make no sense are skipped. */
export function readGroups(root: string, wanted: LineFilter = () => true): Group[] {
  return readDatabase(root, 'etc/group', wanted).flatMap(([name = '', , gid = '', members = '']) => {
    const groupId = parseId(gid);
    if (name === '' || groupId === undefined) return [];
    return [{ name, gid: groupId, members: members.split(',').filter((member) => member !== '') }];
  });
}

/** The first user of that name. */
export function findUser(root: string, name: string): User | undefined {
  return readUsers(root, startsWith(name)).find((user) => user.name === name);
}

/** The first user with that uid. */
export function findUserById(root: string, uid: number): User | undefined {
  return readUsers(root).find((user) => user.uid === uid);
}

/** The first group of that name. */
export function findGroup(root: string, name: string): Group | undefined {
  return readGroups(root, startsWith(name)).find((group) => group.name === name);
}

/** The first group with that gid. */
export function findGroupById(root: string, gid: number): Group | undefined {
  return readGroups(root).find((group) => group.gid === gid);
}

/** The gids of the groups that list `name` as a member, ascending and without repeats. */
export function supplementaryGroups(root: string, name: string): number[] {
  const gids = readGroups(root)
    .filter(({ members }) => members.includes(name))
    .map(({ gid }) => gid);
  return [...new Set(gids)].sort((a, b) => a - b);
}

type LineFilter = (line: string) => boolean;

// Whoever looks for one line does not take all of them apart.
const startsWith =
  (name: string): LineFilter =>
  (line) =>
    line.startsWith(`${name}:`);

function readDatabase(root: string, path: string, wanted: LineFilter): string[][] {
  const rootFd = openRoot(root);
  try {
    const text = readFileInRoot(rootFd, path, MAX_BYTES).toString('utf8');
    return text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && wanted(line))
      .map((line) => line.split(':'));
  } catch (error) {
    if (error instanceof KernelError && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
    throw error;
  } finally {
    closeSync(rootFd);
  }
}

// 4294967295 is -1 to the kernel: "leave as it is".
function parseId(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id < 0xffff_ffff ? id : undefined;
}
