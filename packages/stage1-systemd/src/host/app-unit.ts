// The unit of an app: NAME.service (contract 2.6; what differs is in docs/decisions/0004). Pure.

import { quote } from '@rkt/diagnostics/quote';
import { SYSTEMD_NOTIFY_ANNOTATION } from '@rkt/pod-layout/entrypoints';
import { envFileIn } from '@rkt/pod-layout/stage1-paths';
import type { AllowedDevice } from '@rkt/stage1-base/devices';
import type { LoadedApp } from '@rkt/stage1-base/pod';
import type { SeccompFilter } from '@rkt/stage1-base/seccomp';
import { quoteCommandLine } from 'systemd-unit-parser/command-line';
import { option, type UnitOption } from 'systemd-unit-parser/unit';

import { SystemdError } from '../errors.ts';
import type { AppPlan, PodPlan } from './app-plan.ts';
import type { InnerBind } from './app-root.ts';
import { readsPodTerminal, readsTerminal, streamDirectives } from './io-modes.ts';
import { HIDDEN_PATHS, READ_ONLY_PATHS } from './protected-paths.ts';
import { hasSockets, socketUnitName } from './socket-unit.ts';
import { pathWord, wholePath } from './unit-words.ts';

/** How long an app may take to end after SIGTERM, before SIGKILL. */
const STOP_SECONDS = 10;

/** Variables that systemd adds to what an app is given. */
const SYSTEMD_VARIABLES: readonly string[] = [
  'INVOCATION_ID',
  'JOURNAL_STREAM',
  'LANG',
  'SYSTEMD_EXEC_PID',
  'TERM',
];

/** What stops all apps. */
export const HALTED_TARGET = 'halted.target';

/** File name of an app's unit. */
export const appUnitName = (name: string): string => `${name}.service`;

/** @throws SystemdError `bad-event-handler`, `unsupported`; UnitError for what no unit file can hold */
export function appUnit(plan: AppPlan, pod: PodPlan): UnitOption[] {
  const { loaded, credentials } = plan;
  const root = loaded.rootfsInStage1;
  return [
    ...unitSection(loaded, pod),
    ...(hasSockets(loaded) ? [unit('Requires', socketUnitName(loaded.name))] : []),
    service('Restart', 'no'),
    service('SyslogIdentifier', loaded.name),
    ...streamDirectives(loaded, pod.interactive, pod.terminal),
    ...(speaksNotify(loaded) ? [service('Type', 'notify')] : []),
    service('TimeoutStartSec', '0'),
    service('ExecStart', commandLine(plan.argv)),
    service('RootDirectory', pathWord(root)),
    service('WorkingDirectory', wholePath(plan.workingDirectory)),
    service('EnvironmentFile', pathWord(envFileIn(loaded.name))),
    service('User', String(credentials.uid)),
    service('Group', String(credentials.gid)),
    ...credentials.supplementaryGids.map((gid) => service('SupplementaryGroups', String(gid))),
    ...(plan.capabilities === undefined
      ? []
      : [service('CapabilityBoundingSet', plan.capabilities.join(' '))]),
    ...(plan.filter === undefined ? [] : filterDirectives(plan.filter)),
    service('NoNewPrivileges', String(plan.noNewPrivileges)),
    ...(loaded.runtimeApp.readOnlyRootFS === true ? readOnlyRoot(plan) : []),
    ...(pod.protectPaths ? protection(root, plan.devices) : []),
    ...(pod.protectPaths && pod.terminal !== undefined && readsPodTerminal(loaded, pod.interactive)
      ? [service('DeviceAllow', `${pod.terminal} rw`)]
      : []),
    ...eventHandlers(loaded),
    ...plan.resources.map(([name, value]) => service(name, value)),
    ...surroundings(plan, pod),
  ];
}

function unitSection({ name, image }: LoadedApp, { mutable = false }: PodPlan): UnitOption[] {
  return [
    unit('After', 'systemd-journald.service'),
    // Whoever is told writes the status file; after a failure it also halts the pod. Two names for one thing: a unit
    // that both directives name is not told of the exit status (systemd 252).
    unit('OnFailure', `${mutable ? 'failed' : 'reaper'}@${name}.service`),
    unit('OnSuccess', `${mutable ? 'ended' : 'reaped'}@${name}.service`),
    unit('Description', `Application=${name} Image=${image.name}`.replaceAll('%', '%%')),
    unit('DefaultDependencies', 'false'),
    unit('Wants', 'systemd-journald.service'),
    unit('Wants', 'pod.target'),
    unit('After', 'pod.target'),
    // halted.target of a pod made before its apps does not know them.
    ...(mutable ? [unit('Conflicts', HALTED_TARGET)] : []),
  ];
}

// systemd refuses to load a unit with any other program, and its pod would have no app.
function commandLine([program = '', ...args]: readonly string[]): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/["'\\\x00-\x1f\x7f]/.test(program)) {
    throw new SystemdError(
      'unsupported',
      `systemd executes no program with quotes, backslashes or control characters in its path: ${quote(program)}`,
    );
  }
  return quoteCommandLine([program.replace(/(?<=.)\/+$/, ''), ...args], { escapeProgram: true });
}

const GO_TRUE: readonly string[] = ['1', 't', 'T', 'TRUE', 'true', 'True'];

function speaksNotify({ image }: LoadedApp): boolean {
  const annotation = image.annotations?.find(({ name }) => name === SYSTEMD_NOTIFY_ANNOTATION);
  return annotation !== undefined && GO_TRUE.includes(annotation.value);
}

// The calls stand in one line: systemd reads each assignment of a long list anew.
function filterDirectives({ mode, calls, errno, killing = [] }: SeccompFilter): UnitOption[] {
  return [
    ...(errno === undefined ? [] : [service('SystemCallErrorNumber', errno)]),
    service('SystemCallFilter', `${mode === 'allow' ? '' : '~'}${calls.join(' ')}`),
    ...(killing.length === 0
      ? []
      : [service('SystemCallFilter', `~${killing.map((call) => `${call}:kill`).join(' ')}`)]),
    // Each architecture costs a filter: those of x32, which nobody has, are left out.
    ...(process.arch === 'x64' ? [service('SystemCallArchitectures', 'native x86')] : []),
  ];
}

// Volumes that can be written stay so.
function readOnlyRoot({ loaded, binds }: AppPlan): UnitOption[] {
  return [
    ...binds
      .filter(({ readOnly }) => !readOnly)
      .map(({ target }) => service('ReadWriteDirectories', pathWord(target))),
    service('ReadOnlyDirectories', pathWord(loaded.rootfsInStage1)),
  ];
}

/** Devices of every app: those of the appc standard can also be made with mknod, terminals can be opened only. */
const PSEUDO_DEVICES: readonly string[] = [
  '/dev/null rwm',
  '/dev/zero rwm',
  '/dev/full rwm',
  '/dev/random rwm',
  '/dev/urandom rwm',
  '/dev/tty rwm',
  '/dev/ptmx rw',
  'char-pts rw',
];

function protection(root: string, devices: readonly AllowedDevice[]): UnitOption[] {
  return [
    ...HIDDEN_PATHS.map((path) => service('InaccessiblePaths', `-${root}${path}`)),
    ...READ_ONLY_PATHS.map((path) => service('ReadOnlyPaths', `-${root}${path}`)),
    service('MountAPIVFS', 'false'),
    service('MountFlags', 'shared'),
    // Policy `closed` would be shorter, but lets apps make nodes of the terminal multiplexer.
    service('DevicePolicy', 'strict'),
    ...PSEUDO_DEVICES.map((access) => service('DeviceAllow', access)),
    ...devices.map(({ type, major, minor, writable }) =>
      service('DeviceAllow', `/dev/${type}/${major}:${minor} ${writable ? 'rw' : 'r'}`),
    ),
  ];
}

const HANDLER_DIRECTIVES: Readonly<Record<string, string>> = {
  'pre-start': 'ExecStartPre',
  'post-stop': 'ExecStopPost',
};

// As root, whatever the app's user, and otherwise confined as the app is: that is what `!` says.
function eventHandlers({ app }: LoadedApp): UnitOption[] {
  return (app.eventHandlers ?? []).map(({ name, exec }) => {
    const directive = Object.hasOwn(HANDLER_DIRECTIVES, name) ? HANDLER_DIRECTIVES[name] : undefined;
    if (directive === undefined) {
      throw new SystemdError('bad-event-handler', `unrecognized eventHandler: ${name}`);
    }
    if (exec[0]?.startsWith('/') !== true) {
      throw new SystemdError(
        'bad-event-handler',
        `eventHandler ${name} needs an absolute path, not ${quote(exec[0] ?? '')}`,
      );
    }
    return service(directive, `!${commandLine(exec)}`);
  });
}

// What systemd gives to services but the appc standard does not to apps, and the mounts of the app's own namespace.
function surroundings(
  { loaded, innerBinds }: AppPlan,
  { limits, protectPaths, interactive }: PodPlan,
): UnitOption[] {
  const set = new Set((loaded.app.environment ?? []).map(({ name }) => name));
  const onTerminal = interactive || readsTerminal(loaded);
  const added = SYSTEMD_VARIABLES.filter((name) => !set.has(name) && !(name === 'TERM' && onTerminal));
  return [
    ...(protectPaths ? [] : [service('MountAPIVFS', 'false')]),
    service('UnsetEnvironment', added.join(' ')),
    service('IgnoreSIGPIPE', 'false'),
    service('TimeoutStopSec', String(STOP_SECONDS)),
    // Out of memory, the kernel kills a process and the app goes on, with version 2 of cgroups as with version 1.
    service('OOMPolicy', 'continue'),
    ...limits.map(([name, value]) => service(name, value)),
    ...innerBinds.map(innerBind),
  ];
}

function innerBind({ source, target, recursive, readOnly, optional }: InnerBind): UnitOption {
  const value = `${optional ? '-' : ''}${pathWord(source)}:${pathWord(target)}:${recursive ? 'rbind' : 'norbind'}`;
  return service(readOnly ? 'BindReadOnlyPaths' : 'BindPaths', value);
}

const unit = (name: string, value: string): UnitOption => option('Unit', name, value);
const service = (name: string, value: string): UnitOption => option('Service', name, value);
