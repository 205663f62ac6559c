// Linux and unix isolators: capabilities, seccomp, no-new-privileges, oom score, cpu shares, SELinux, sysctl
// (contract stage0 3.5, stage1 2.18-2.20). Pure; runs in every process.

import { defaulted, flag, integer, list, required, scalar, stringMap, struct, text } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';
import type { IsolatorKind } from './isolator.ts';

export const CAPABILITIES_RETAIN_SET = 'os/linux/capabilities-retain-set';
export const CAPABILITIES_REMOVE_SET = 'os/linux/capabilities-remove-set';
export const NO_NEW_PRIVILEGES = 'os/linux/no-new-privileges';
export const SECCOMP_RETAIN_SET = 'os/linux/seccomp-retain-set';
export const SECCOMP_REMOVE_SET = 'os/linux/seccomp-remove-set';
export const OOM_SCORE_ADJ = 'os/linux/oom-score-adj';
export const CPU_SHARES = 'os/linux/cpu-shares';
export const SELINUX_CONTEXT = 'os/linux/selinux-context';
export const SYSCTL = 'os/unix/sysctl';

/** The value of both capability isolators. */
export interface CapabilitySet {
  /** Names, not checked: systemd takes them in any case. */
  readonly set: readonly string[];
}

/** The value of both seccomp isolators. */
export interface SeccompSet {
  /** System calls and `@scope/name` groups. */
  readonly set: readonly string[];
  /** Errno name such as EPERM; empty means the process is killed. */
  readonly errno: string;
}

/** The value of the SELinux isolator. */
export interface SelinuxContext {
  readonly user: string;
  readonly role: string;
  readonly type: string;
  readonly level: string;
}

const EMPTY_SET = 'set must be non-empty';
const Names = scalar('name', (name) =>
  /[\s\0]/.test(name) ? refuse('names must not contain spaces') : name,
);

export const CapabilitySet: Codec<CapabilitySet> = struct<CapabilitySet>(
  'CapabilitySet',
  { set: required(list(Names), EMPTY_SET) },
  (value) => (value.set.length === 0 ? refuse(EMPTY_SET) : value),
);

export const SeccompSet: Codec<SeccompSet> = struct<SeccompSet>(
  'SeccompSet',
  { set: required(list(Names), EMPTY_SET), errno: defaulted(text, '') },
  (value) => {
    if (value.set.length === 0) refuse(EMPTY_SET);
    if (!/^(?:E[A-Z0-9]*)?$/.test(value.errno)) {
      refuse('errno must start with "E" and have only upper case letters and digits');
    }
    return value;
  },
);

const ContextPart = (name: string): Codec<string> =>
  scalar('SelinuxPart', (part) => {
    if (part === '') refuse(`${name} must not be empty`);
    return name !== 'level' && part.includes(':') ? refuse(`${name} must not contain ":"`) : part;
  });

export const SelinuxContext: Codec<SelinuxContext> = struct<SelinuxContext>('SelinuxContext', {
  user: required(ContextPart('user'), 'user must not be empty'),
  role: required(ContextPart('role'), 'role must not be empty'),
  type: required(ContextPart('type'), 'type must not be empty'),
  level: required(ContextPart('level'), 'level must not be empty'),
});

export const OomScoreAdj: Codec<number> = integer(-1000, 1000, 'oom-score-adj must be in -1000-1000 range');
export const CpuShares: Codec<number> = integer(2, 262144, 'cpu-shares must be in 2-262144 range');

/** Linux and unix isolators by name. */
export const LINUX_ISOLATORS: readonly (readonly [string, IsolatorKind])[] = [
  [CAPABILITIES_RETAIN_SET, { codec: CapabilitySet, multi: true }],
  [CAPABILITIES_REMOVE_SET, { codec: CapabilitySet, multi: true }],
  [NO_NEW_PRIVILEGES, { codec: flag, multi: true }],
  [SECCOMP_RETAIN_SET, { codec: SeccompSet, multi: false }],
  [SECCOMP_REMOVE_SET, { codec: SeccompSet, multi: false }],
  [OOM_SCORE_ADJ, { codec: OomScoreAdj, multi: false }],
  [CPU_SHARES, { codec: CpuShares, multi: false }],
  [SELINUX_CONTEXT, { codec: SelinuxContext, multi: false }],
  [SYSCTL, { codec: stringMap, multi: false }],
];
