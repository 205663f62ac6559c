// The order in which a process becomes an app's, as data. Pure: no system call is made here.
//
//   umask                      so that nothing below depends on the caller's
//   chroot, chdir              while the caller may still search every directory
//   setgroups, setresgid       while CAP_SETGID is there
//   bounding set               while CAP_SETPCAP is there
//   [keepcaps] setresuid       from here on the capabilities are the app's
//   capset, ambient            inheritable is emptied: a file with inheritable bits must not give any
//   no_new_privs               last, since it cannot be undone

import type { AppProcess } from './app-process.ts';
import { DEFAULT_UMASK } from './app-process.ts';
import { Stage2Error } from './errors.ts';

/** One step. Capability sets are bit masks, bit n is capability n. */
export type LaunchStep =
  | { readonly call: 'umask'; readonly mask: number }
  | { readonly call: 'chroot'; readonly path: string }
  | { readonly call: 'chdir'; readonly path: string }
  | { readonly call: 'setgroups'; readonly gids: readonly number[] }
  | { readonly call: 'setresgid'; readonly gid: number }
  | { readonly call: 'drop-bounding'; readonly capability: number }
  | { readonly call: 'clear-ambient' }
  | { readonly call: 'keep-capabilities'; readonly on: boolean }
  | { readonly call: 'setresuid'; readonly uid: number }
  | {
      readonly call: 'capset';
      readonly effective: bigint;
      readonly permitted: bigint;
      readonly inheritable: bigint;
    }
  | { readonly call: 'raise-ambient'; readonly capability: number }
  | { readonly call: 'no-new-privileges' };

/** What the process is before the first step. */
export interface CallerFacts {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Capability sets of the calling thread; asked for only when capabilities are to change. */
  readonly capabilities: () => {
    readonly permitted: bigint;
    readonly inheritable: bigint;
    readonly bounding: bigint;
    readonly last: number;
  };
  /** Number of a capability, or undefined when the kernel's table does not have it. */
  readonly capabilityNumber: (name: string) => number | undefined;
}

/** The steps that turn the caller into `app`; steps without effect are left out. @throws Stage2Error `bad-spec` */
export function planLaunch(app: AppProcess, caller: CallerFacts): LaunchStep[] {
  return [
    { call: 'umask', mask: app.umask ?? DEFAULT_UMASK },
    ...planDirectories(app),
    ...planGroups(app, caller),
    ...planCapabilitiesAndUser(app, caller),
    ...(app.noNewPrivileges === true ? [{ call: 'no-new-privileges' } as const] : []),
  ];
}

function planDirectories({ root, workingDirectory }: AppProcess): LaunchStep[] {
  const steps: LaunchStep[] = [];
  // Between chroot and chdir the working directory would lie outside of the root.
  if (root !== '/') steps.push({ call: 'chroot', path: root }, { call: 'chdir', path: '/' });
  if (root === '/' || workingDirectory !== '/') steps.push({ call: 'chdir', path: workingDirectory });
  return steps;
}

function planGroups({ gid, supplementaryGids }: AppProcess, caller: CallerFacts): LaunchStep[] {
  const groups = [...new Set([gid, ...supplementaryGids])];
  const steps: LaunchStep[] = [];
  if (!sameSet(groups, caller.groups)) steps.push({ call: 'setgroups', gids: groups });
  if (gid !== caller.gid) steps.push({ call: 'setresgid', gid });
  return steps;
}

function planCapabilitiesAndUser(app: AppProcess, caller: CallerFacts): LaunchStep[] {
  const userChanges: LaunchStep[] = app.uid === caller.uid ? [] : [{ call: 'setresuid', uid: app.uid }];
  if (app.boundingCapabilities === undefined && app.ambientCapabilities === undefined) return userChanges;
  const before = caller.capabilities();
  const bounding = boundingMask(app, caller, before.bounding);
  const ambient = mask(app.ambientCapabilities ?? [], caller) & before.permitted;
  if ((ambient & bounding) !== ambient) {
    throw new Stage2Error('bad-spec', 'an ambient capability is not in the bounding set');
  }
  const dropped = range(before.last).filter((n) => has(before.bounding, n) && !has(bounding, n));
  const raised = range(before.last).filter((n) => has(ambient, n));
  const keep = raised.length > 0 && app.uid !== 0;
  // Root gets its bounding set back at execve; others keep what is ambient and nothing else.
  const permitted = before.permitted & (app.uid === 0 ? bounding : ambient);
  return [
    ...dropped.map((capability) => ({ call: 'drop-bounding', capability }) as const),
    { call: 'clear-ambient' },
    ...(keep ? [{ call: 'keep-capabilities', on: true } as const] : []),
    ...userChanges,
    { call: 'capset', effective: permitted, permitted, inheritable: ambient },
    ...(keep ? [{ call: 'keep-capabilities', on: false } as const] : []),
    ...raised.map((capability) => ({ call: 'raise-ambient', capability }) as const),
  ];
}

function boundingMask(app: AppProcess, caller: CallerFacts, current: bigint): bigint {
  return app.boundingCapabilities === undefined ? current : mask(app.boundingCapabilities, caller) & current;
}

// A name the kernel does not know grants nothing (contract 2.18: names are not validated).
function mask(names: readonly string[], { capabilityNumber }: CallerFacts): bigint {
  let bits = 0n;
  for (const name of names) {
    const number = capabilityNumber(name);
    if (number !== undefined) bits |= 1n << BigInt(number);
  }
  return bits;
}

function has(bits: bigint, capability: number): boolean {
  return ((bits >> BigInt(capability)) & 1n) === 1n;
}

function range(last: number): number[] {
  return Array.from({ length: last + 1 }, (_, index) => index);
}

function sameSet(left: readonly number[], right: readonly number[]): boolean {
  const other = new Set(right);
  return left.length === other.size && left.every((item) => other.has(item));
}
