// Which system calls an app may make, from its isolators (contract 2.19). Pure; runs in stage1, on the host.
//
// What differs from rkt: its list dates from 2016, and a call that is not on it kills. Programs of today probe for newer
// calls and fall back when there are none, so under the default list a newer call fails with ENOSYS, and only calls
// that rkt refused on purpose kill.

import { quote } from '@rkt/diagnostics/quote';
import { errnoNumber } from '@rkt/linux/errno';
import type { App } from '@rkt/spec/app';

import { Stage1Error } from './errors.ts';
import {
  ARM_WHITELIST,
  DEFAULT_BLACKLIST,
  DEFAULT_WHITELIST,
  OTHER_OLD_CALLS,
  SYSTEMD_GROUPS,
} from './seccomp-sets.ts';
import type { CallVerdicts, Verdict } from './seccomp-program.ts';
import { I386_CALLS, X86_64_CALLS } from './syscall-numbers.ts';

const RETAIN_SET = 'os/linux/seccomp-retain-set';
const REMOVE_SET = 'os/linux/seccomp-remove-set';
const NO_NEW_PRIVILEGES = 'os/linux/no-new-privileges';

/** Isolators that this file reads. */
export const SECCOMP_ISOLATORS: readonly string[] = [RETAIN_SET, REMOVE_SET, NO_NEW_PRIVILEGES];

/** A filter of system calls, by name. */
export interface SeccompFilter {
  /** `allow`: all other calls are refused; `deny`: these are. */
  readonly mode: 'allow' | 'deny';
  readonly calls: readonly string[];
  /** What a refused call returns; absent: it kills the process. */
  readonly errno?: string;
  /** Calls that kill although refused ones return `errno`. */
  readonly killing?: readonly string[];
}

interface SetValue {
  readonly set?: readonly string[];
  readonly errno?: string;
}

/**
 * The filter of an app, undefined for none.
 * @throws Stage1Error `bad-seccomp` for several isolators, and for what would be no filter, or another than is asked for
 */
export function seccompFilter({ isolators = [] }: Pick<App, 'isolators'>): SeccompFilter | undefined {
  const sets = isolators.filter(({ name }) => name === RETAIN_SET || name === REMOVE_SET);
  const [isolator] = sets;
  if (isolator === undefined) return defaultFilter();
  if (sets.length > 1) throw new Stage1Error('bad-seccomp', 'too many seccomp isolators specified');
  const { set = [], errno } = isolator.value as SetValue;
  const refusal = errno === undefined || errno === '' ? {} : { errno };
  if (refusal.errno !== undefined) knownErrno(refusal.errno);
  if (isolator.name === RETAIN_SET) {
    if (set.includes('@appc.io/all')) return undefined;
    const calls = expand(set);
    // systemd takes an empty list for no filter.
    if (calls.length === 0) {
      throw new Stage1Error('bad-seccomp', `${RETAIN_SET} has no name that rkt knows: ${set.join(', ')}`);
    }
    return { mode: 'allow', calls, ...refusal };
  }
  if (!set.includes('@appc.io/empty')) return { mode: 'deny', calls: expand(set), ...refusal };
  return 'errno' in refusal ? { mode: 'allow', calls: whitelist('rkt'), ...refusal } : defaultFilter();
}

function defaultFilter(): SeccompFilter {
  const allowed = new Set(DEFAULT_WHITELIST);
  const killing = [...DEFAULT_BLACKLIST, ...OTHER_OLD_CALLS].filter((call) => !allowed.has(call));
  return { mode: 'allow', calls: whitelist('rkt'), errno: 'ENOSYS', killing: [...new Set(killing)] };
}

function whitelist(scope: string): readonly string[] {
  const arm = process.arch === 'arm' || process.arch === 'arm64';
  return scope === 'rkt' && arm ? [...DEFAULT_WHITELIST, ...ARM_WHITELIST] : DEFAULT_WHITELIST;
}

/** Names in the seccomp isolators of an app that mean nothing: sets, and system calls, that nobody has. */
export function unknownSeccompNames({ isolators = [] }: Pick<App, 'isolators'>): string[] {
  const entries = isolators
    .filter(({ name }) => name === RETAIN_SET || name === REMOVE_SET)
    .flatMap(({ value }) => (value as SetValue).set ?? []);
  return entries.filter((entry) =>
    entry.startsWith('@')
      ? !['@appc.io/all', '@appc.io/empty'].includes(entry) && expansion(entry) === undefined
      : !X86_64_CALLS.has(entry) && !I386_CALLS.has(entry),
  );
}

// Names without a known expansion are dropped, as rkt does.
function expand(entries: readonly string[]): string[] {
  const calls = entries.flatMap((entry) =>
    entry.startsWith('@') ? (expansion(entry) ?? []) : [checkedName(entry)],
  );
  return [...new Set(calls)];
}

function expansion(entry: string): readonly string[] | undefined {
  const [, scope = '', name = ''] = /^@([^/]+)\/(.+)$/.exec(entry) ?? [];
  if (scope === 'systemd') return Object.hasOwn(SYSTEMD_GROUPS, name) ? SYSTEMD_GROUPS[name] : undefined;
  if (scope !== 'docker' && scope !== 'rkt') return undefined;
  if (name === 'default-whitelist') return whitelist(scope);
  return name === 'default-blacklist' ? DEFAULT_BLACKLIST : undefined;
}

// A unit file takes these names: nothing in them may mean anything else there.
function checkedName(name: string): string {
  if (/^[A-Za-z0-9_]+$/.test(name)) return name;
  throw new Stage1Error('bad-seccomp', `not the name of a system call: ${quote(name)}`);
}

/**
 * What a filter means for each call, as systemd understands it: a list of what is allowed implies what every program
 * needs. @throws Stage1Error `bad-seccomp` for an errno that does not exist
 */
export function verdictsOf({ mode, calls, errno, killing = [] }: SeccompFilter): CallVerdicts {
  const refused = errno === undefined ? 'kill' : { errno: knownErrno(errno) };
  const [listed, otherwise]: [Verdict, Verdict] = mode === 'allow' ? ['allow', refused] : [refused, 'allow'];
  const implied = mode === 'allow' ? (SYSTEMD_GROUPS['default-whitelist'] ?? []) : [];
  const verdicts = new Map<string, Verdict>([...implied, ...calls].map((name) => [name, listed]));
  for (const name of killing) verdicts.set(name, 'kill');
  return { calls: verdicts, otherwise, unknown: otherwise, foreign: 'kill' };
}

function knownErrno(name: string): number {
  const number = errnoNumber(name);
  if (number === 0) throw new Stage1Error('bad-seccomp', `not the name of an error: ${quote(name)}`);
  return number;
}

/**
 * Whether the app's process must not gain privileges: as the isolator says, and always with a filter for users other
 * than root, who could not install one otherwise.
 */
export function noNewPrivileges(
  { isolators = [] }: Pick<App, 'isolators'>,
  uid: number,
  filtered: boolean,
): boolean {
  const wanted = isolators.some(({ name, value }) => name === NO_NEW_PRIVILEGES && value === true);
  return wanted || (filtered && uid !== 0);
}
