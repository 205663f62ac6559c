// The programs a stage1 image offers, and what they are called with (contract stage0 8.10, 8.11; stage1 1.1-1.6).
// stage0 prints and stage1 parses from the same table. Pure.
//
//   stage0                                         stage1
//   run, run-prepared --- execve, lock fd open ---> run   [--debug] --net=L ... UUID     becomes the pod
//   enter             --- execve ----------------->  enter --pid=N --appname=A -- CMD...  becomes CMD's parent
//   stop              --- child, waited for ------->  stop  [--force] UUID
//   gc, rm            --- child, waited for ------->  gc    [--debug] [--local-config D] UUID
//
// Working directory of all four: the pod directory.

import { quote } from '@rkt/diagnostics/quote';
import type { Annotation } from '@rkt/spec/annotations';

import { PodLayoutError } from './errors.ts';

export type EntryPointName =
  'run' | 'enter' | 'gc' | 'stop' | 'attach' | 'app/add' | 'app/rm' | 'app/start' | 'app/stop';

/** What stage0 reads of the annotations of a stage1 image starts with this (contract stage1 1.1). */
export const STAGE1_PREFIX = 'coreos.com/rkt/stage1/';
const OLD_PREFIX = 'coreos.com/rocket/stage1/';
const INTERFACE_VERSION = `${STAGE1_PREFIX}interface-version`;

/** Pod annotation: whether apps may be added while the pod runs. */
export const MUTABLE_ANNOTATION: string = `${STAGE1_PREFIX}mutable`;
/** Whether a pod with these annotations takes apps while it runs. */
export function isMutable(annotations: readonly Annotation[] | undefined): boolean {
  return isTrue(annotations, MUTABLE_ANNOTATION);
}

/**
 * App annotation of ours, written by `app add`: the app may run without limits that the host cannot enforce. The
 * environment of app/add is fixed and its arguments are (contract stage1 1.6); a pod that is started is told by
 * RKT_INSECURE_LIMITS.
 */
export const INSECURE_LIMITS_ANNOTATION: string = `${STAGE1_PREFIX}insecure-limits`;
/** Whether an app with these annotations may run without limits. */
export function mayBeUnlimited(annotations: readonly Annotation[] | undefined): boolean {
  return isTrue(annotations, INSECURE_LIMITS_ANNOTATION);
}

// The reader of @rkt/spec would bring its codecs into every start of an entry point.
function isTrue(annotations: readonly Annotation[] | undefined, name: string): boolean {
  return annotations?.find((annotation) => annotation.name === name)?.value === 'true';
}

/** Image annotation that marks an image converted from docker. */
export const DOCKER_REPOSITORY_ANNOTATION = 'appc.io/docker/repository';
/** Image annotation: the app speaks sd_notify. */
export const SYSTEMD_NOTIFY_ANNOTATION = 'appc.io/executor/supports-systemd-notify';
/** App annotations that choose where stdin, stdout and stderr go. */
export const STREAM_ANNOTATIONS = {
  stdin: 'coreos.com/rkt/stage2/stdin',
  stdout: 'coreos.com/rkt/stage2/stdout',
  stderr: 'coreos.com/rkt/stage2/stderr',
} as const;

/**
 * Annotation of stage1 images that take the token of the metadata service from the pod directory
 * (mdsRegistrationFile). Others get it in argv, as rkt 1.30 gave it. Ours.
 */
export const MDS_FILE_ANNOTATION: string = `${STAGE1_PREFIX}mds-registration`;

/**
 * Annotation of stage1 images that names, with commas between them, files and directories that nothing inside a pod
 * needs: only the host runs them, from the root of stage1. Copies of that root have links in their place. Ours.
 */
export const HOST_FILES_ANNOTATION: string = `${STAGE1_PREFIX}host-files`;

/** The annotation that names an entry point. */
export const entryPointAnnotation = (name: EntryPointName): string => `${STAGE1_PREFIX}${name}`;

// Names that older images used, most recent first (contract stage0 9.2).
function acceptedAnnotations(name: EntryPointName): string[] {
  if (name === 'run')
    return [`${STAGE1_PREFIX}run`, `${STAGE1_PREFIX}init`, `${OLD_PREFIX}run`, `${OLD_PREFIX}init`];
  if (name === 'enter' || name === 'gc') return [`${STAGE1_PREFIX}${name}`, `${OLD_PREFIX}${name}`];
  return [`${STAGE1_PREFIX}${name}`];
}

/**
 * Path of an entry point inside the stage1 root, absolute and without `..`.
 * @throws PodLayoutError `entrypoint-missing` when the image does not offer it.
 */
export function findEntryPoint(annotations: readonly Annotation[] | undefined, name: EntryPointName): string {
  for (const accepted of acceptedAnnotations(name)) {
    const value = annotations?.find((annotation) => annotation.name === accepted)?.value;
    if (value === undefined || value === '') continue;
    if (value.split('/').includes('..')) {
      throw new PodLayoutError(
        'bad-argument',
        `entrypoint ${quote(accepted)} leaves the stage1 image: ${quote(value)}`,
      );
    }
    return value.startsWith('/') ? value : `/${value}`;
  }
  throw new PodLayoutError('entrypoint-missing', `entrypoint ${quote(entryPointAnnotation(name))} not found`);
}

/** Whether the image offers an entry point. */
export function hasEntryPoint(annotations: readonly Annotation[] | undefined, name: EntryPointName): boolean {
  return annotations?.some((annotation) => acceptedAnnotations(name).includes(annotation.name)) ?? false;
}

/** Newest interface version this layout can speak. */
export const INTERFACE_VERSION_MAX = 6;

/**
 * Version of the interface a stage1 image understands; 1 when it does not say.
 * @throws PodLayoutError `bad-argument` when it is no integer, or one that is not known.
 */
export function interfaceVersion(annotations: readonly Annotation[] | undefined): number {
  const value = annotations?.find((annotation) => annotation.name === INTERFACE_VERSION)?.value;
  if (value === undefined) return 1;
  if (!/^[+-]?\d{1,9}$/.test(value)) {
    throw new PodLayoutError(
      'bad-argument',
      `error parsing interface version: ${quote(value)} is not an integer`,
    );
  }
  const version = Number(value);
  if (version < 1 || version > INTERFACE_VERSION_MAX) {
    throw new PodLayoutError(
      'bad-argument',
      `stage1 speaks interface version ${version}, this rkt speaks 1 to ${INTERFACE_VERSION_MAX}`,
      { hint: 'use a stage1 image made for this rkt' },
    );
  }
  return version;
}

/** Whether this stage1 reads the pod's registration with the metadata service from the pod directory. */
export function readsMdsRegistration(annotations: readonly Annotation[] | undefined): boolean {
  return isTrue(annotations, MDS_FILE_ANNOTATION);
}

/** What only the host runs of this stage1: paths in its root, without the first slash. */
export function hostFiles(annotations: readonly Annotation[] | undefined): string[] {
  const value = annotations?.find(({ name }) => name === HOST_FILES_ANNOTATION)?.value ?? '';
  return value
    .split(',')
    .map((file) => file.trim().replace(/^\/+/, ''))
    .filter((file) => file !== '');
}

/** Whether apps can be added to and removed from a pod of this stage1. */
export function supportsMutablePods(annotations: readonly Annotation[] | undefined): boolean {
  return (['app/rm', 'app/start', 'app/stop'] as const).every((name) => hasEntryPoint(annotations, name));
}

export type ResolvMode = 'default' | 'host' | 'stage0' | 'none';
export type HostsMode = 'default' | 'host' | 'stage0';

/** Arguments of the run entry point. */
export interface RunArguments {
  readonly debug: boolean;
  /** `NAME[:ARGS]` entries; empty means `default`. */
  readonly net: readonly string[];
  readonly interactive: boolean;
  /** `SHIFT:COUNT`, verbatim. */
  readonly privateUsers?: string;
  /** Of stage1 images that cannot read it from the pod directory. */
  readonly mdsToken?: string;
  readonly localConfig?: string;
  readonly hostname?: string;
  readonly resolvMode: ResolvMode;
  readonly hostsMode: HostsMode;
  readonly disableCapabilities: boolean;
  readonly disablePaths: boolean;
  readonly disableSeccomp: boolean;
  readonly mutable: boolean;
  readonly ipc?: string;
  readonly uuid: string;
}

interface RunFlag {
  readonly name: string;
  /** Smallest interface version that knows the flag. */
  readonly since: number;
  /** What an older stage1 loses: a warning, or nothing worth telling. */
  readonly warnBelow?: string;
  /** Value to print; true for a bare flag; undefined to leave it out. */
  readonly value: (args: RunArguments) => string | true | undefined;
}

// In the order in which stage0 prints them (contract stage1 1.2).
const RUN_FLAGS: readonly RunFlag[] = [
  { name: 'debug', since: 1, value: (a) => a.debug || undefined },
  { name: 'net', since: 1, value: (a) => (a.net.length === 0 ? 'default' : a.net.join(',')) },
  { name: 'interactive', since: 1, value: (a) => a.interactive || undefined },
  { name: 'private-users', since: 1, value: (a) => a.privateUsers },
  { name: 'mds-token', since: 1, value: (a) => a.mdsToken },
  { name: 'local-config', since: 1, value: (a) => a.localConfig },
  {
    name: 'hostname',
    since: 2,
    warnBelow: 'warning: --hostname option is not supported by stage1',
    value: (a) => a.hostname,
  },
  {
    name: 'dns-conf-mode',
    since: 4,
    warnBelow: 'warning: --dns-conf-mode option not supported by stage1',
    value: (a) =>
      a.resolvMode === 'default' && a.hostsMode === 'default'
        ? undefined
        : `resolv=${a.resolvMode},hosts=${a.hostsMode}`,
  },
  { name: 'disable-capabilities-restriction', since: 3, value: (a) => a.disableCapabilities || undefined },
  { name: 'disable-paths', since: 3, value: (a) => a.disablePaths || undefined },
  { name: 'disable-seccomp', since: 3, value: (a) => a.disableSeccomp || undefined },
  { name: 'mutable', since: 1, value: (a) => a.mutable || undefined },
  {
    name: 'ipc',
    since: 6,
    warnBelow: 'warning: --ipc option is not supported by stage1',
    value: (a) => a.ipc,
  },
];

/** What stage0 hands to the run entry point, without argv[0], and what an old stage1 will miss. */
export function printRunArguments(
  args: RunArguments,
  version: number,
): { readonly argv: string[]; readonly warnings: string[] } {
  const argv: string[] = [];
  const warnings: string[] = [];
  for (const { name, since, warnBelow, value } of RUN_FLAGS) {
    const text = value(args);
    if (text === undefined || text === '') continue;
    if (version >= since) argv.push(text === true ? `--${name}` : `--${name}=${text}`);
    else if (warnBelow !== undefined) warnings.push(warnBelow);
  }
  return { argv: [...argv, args.uuid], warnings };
}

const RUN_BOOLEANS = new Set([
  'debug',
  'interactive',
  'disable-capabilities-restriction',
  'disable-paths',
  'disable-seccomp',
  'mutable',
]);

/**
 * What the run entry point was called with. `unknown` names flags that this flavour does not take.
 * @throws PodLayoutError `bad-argument`, worded like a Go flag error.
 */
export function parseRunArguments(argv: readonly string[], unknown: readonly string[] = []): RunArguments {
  const known = RUN_FLAGS.map(({ name }) => name).filter((name) => !unknown.includes(name));
  const { values, rest } = parseGoFlags(argv, known, RUN_BOOLEANS);
  const uuid = rest[0] ?? '';
  const text = (name: string): string | undefined => values.get(name) || undefined;
  const flag = (name: string): boolean => values.get(name) === 'true';
  const modes = dnsModes(values.get('dns-conf-mode'));
  return {
    debug: flag('debug'),
    net: (text('net') ?? 'default').split(','),
    interactive: flag('interactive'),
    ...optional('privateUsers', text('private-users')),
    ...optional('mdsToken', text('mds-token')),
    ...optional('localConfig', text('local-config')),
    ...optional('hostname', text('hostname')),
    ...modes,
    disableCapabilities: flag('disable-capabilities-restriction'),
    disablePaths: flag('disable-paths'),
    disableSeccomp: flag('disable-seccomp'),
    mutable: flag('mutable'),
    ...optional('ipc', text('ipc')),
    uuid,
  };
}

const RESOLV_MODES: readonly string[] = ['default', 'host', 'stage0', 'none'] satisfies ResolvMode[];
const HOSTS_MODES: readonly string[] = ['default', 'host', 'stage0'] satisfies HostsMode[];

function dnsModes(value: string | undefined): { resolvMode: ResolvMode; hostsMode: HostsMode } {
  let resolvMode: ResolvMode = 'default';
  let hostsMode: HostsMode = 'default';
  for (const part of value === undefined || value === '' ? [] : value.split(',')) {
    const [key, mode] = [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)];
    if (key === 'resolv' && RESOLV_MODES.includes(mode)) resolvMode = mode as ResolvMode;
    else if (key === 'hosts' && HOSTS_MODES.includes(mode)) hostsMode = mode as HostsMode;
    else throw badValue('dns-conf-mode', value ?? '', `unknown mode ${quote(part)}`);
  }
  return { resolvMode, hostsMode };
}

/** Arguments of the enter entry point. */
export interface EnterArguments {
  /** Container PID 1 as the host sees it. */
  readonly pid: number;
  /** Absent: enter stage1 itself. */
  readonly app?: string;
  readonly command: readonly string[];
}

export function printEnterArguments({ pid, app, command }: EnterArguments): string[] {
  return [`--pid=${pid}`, ...(app === undefined ? [] : [`--appname=${app}`]), '--', ...command];
}

/** @throws PodLayoutError `bad-argument`. */
export function parseEnterArguments(argv: readonly string[]): EnterArguments {
  const { values, rest } = parseGoFlags(argv, ['pid', 'appname', 'app'], new Set());
  const pid = values.get('pid') ?? '';
  if (!/^[1-9]\d{0,9}$/.test(pid)) throw badValue('pid', pid, 'a process id is required');
  if (rest.length === 0) throw new PodLayoutError('bad-argument', 'no command to enter with');
  return { pid: Number(pid), ...optional('app', values.get('appname') ?? values.get('app')), command: rest };
}

/** Arguments of the stop entry point. */
export interface StopArguments {
  readonly force: boolean;
  readonly uuid: string;
}

export function printStopArguments({ force, uuid }: StopArguments): string[] {
  return [...(force ? ['--force'] : []), uuid];
}

/** @throws PodLayoutError `bad-argument`. */
export function parseStopArguments(argv: readonly string[]): StopArguments {
  const { values, rest } = parseGoFlags(argv, ['force', 'debug'], new Set(['force', 'debug']));
  return { force: values.get('force') === 'true', uuid: rest[0] ?? '' };
}

/** Arguments of the gc entry point. */
export interface GcArguments {
  readonly debug: boolean;
  readonly localConfig?: string;
  readonly uuid: string;
}

/** --local-config became known with interface version 5 and is written as two words (contract stage1 1.4). */
export function printGcArguments({ debug, localConfig, uuid }: GcArguments, version: number): string[] {
  const config =
    version >= 5 && localConfig !== undefined && localConfig !== '' ? ['--local-config', localConfig] : [];
  return [...(debug ? ['--debug'] : []), ...config, uuid];
}

/** @throws PodLayoutError `bad-argument`. */
export function parseGcArguments(argv: readonly string[]): GcArguments {
  const { values, rest } = parseGoFlags(argv, ['debug', 'local-config'], new Set(['debug']));
  return {
    debug: values.get('debug') === 'true',
    ...optional('localConfig', values.get('local-config')),
    uuid: rest[0] ?? '',
  };
}

/**
 * Reads words as Go's flag package does: one or two dashes, `=value` or the next word, stops at `--` or the first other
 * word. @throws PodLayoutError `bad-argument`, worded like Go.
 */
export function parseGoFlags(
  argv: readonly string[],
  known: readonly string[],
  booleans: ReadonlySet<string>,
): { values: Map<string, string>; rest: string[] } {
  const values = new Map<string, string>();
  let index = 0;
  for (; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') return { values, rest: argv.slice(index + 1) };
    if (!word.startsWith('-') || word === '-') break;
    const body = word.replace(/^--?/, '');
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    if (!known.includes(name)) {
      throw new PodLayoutError('bad-argument', `flag provided but not defined: -${name}`);
    }
    if (booleans.has(name)) values.set(name, goBoolean(name, equals < 0 ? 'true' : body.slice(equals + 1)));
    else if (equals >= 0) values.set(name, body.slice(equals + 1));
    else {
      index += 1;
      const next = argv[index];
      if (next === undefined) throw new PodLayoutError('bad-argument', `flag needs an argument: -${name}`);
      values.set(name, next);
    }
  }
  return { values, rest: argv.slice(index) };
}

function goBoolean(name: string, text: string): string {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return 'true';
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return 'false';
  throw badValue(name, text, 'not a boolean');
}

function badValue(name: string, value: string, reason: string): PodLayoutError {
  return new PodLayoutError('bad-argument', `invalid value ${quote(value)} for flag -${name}: ${reason}`);
}

function optional<Key extends string>(key: Key, value: string | undefined): { [key in Key]?: string } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { [key in Key]: string });
}
