// Flags that follow an image and change its app (contract stage0 8.3, column A). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { INPUT_MODES, OUTPUT_MODES, type StreamName } from '@rkt/pod-layout/streams';
import type { Mount } from '@rkt/spec/mount';

import { badValue, CliError } from '../errors.ts';
import type { Flag, FlagValues } from '../flag.ts';
import {
  commaListFlag,
  integerFlag,
  onceFlag,
  optionalTextFlag,
  parsedFlag,
  parsedListFlag,
  requiredBooleanFlag,
} from '../flag-types.ts';
import type { AppRequest, SeccompRequest } from '../requests.ts';
import { loadAnnotation, loadAppName, loadAssignment, loadCpu, loadMemory, loadMount } from './parsers.ts';

type TextMap = Readonly<Record<string, string>>;

type CheckPair = (pair: readonly [key: string, value: string]) => readonly [string, string];

// K=V pairs; a later one with the same key wins. fromEntries makes a key such as __proto__ an own property.
function mapFlag(describe: string, load: () => Promise<CheckPair>): Flag<TextMap> {
  return {
    type: 'string',
    array: true,
    describe,
    placeholder: 'NAME=VALUE',
    initial: {},
    load: async () => {
      const check = await load();
      return (previous, text, { name }) =>
        Object.fromEntries([...Object.entries(previous), check(splitPair(text, name))]);
    },
  };
}

const anyPair = async (): Promise<CheckPair> => (pair) => pair;

const annotationPair = async (): Promise<CheckPair> => {
  const check = await loadAnnotation();
  return ([key, value]) => [check(key), value];
};

const variablePair = async (): Promise<CheckPair> => {
  const split = await loadAssignment();
  return (pair) => {
    const { name, value } = split(pair.join('='));
    return [name, value];
  };
};

function splitPair(text: string, flag: string): readonly [string, string] {
  const equals = text.indexOf('=');
  if (equals < 0) throw badValue(`invalid format of --${flag} flag ${quote(text)}`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** Reads `[mode=retain|remove,][errno=E..,]SYSCALL,...`. */
export function parseSeccomp(text: string): SeccompRequest {
  let mode: string | undefined;
  let errno = '';
  const set: string[] = [];
  for (const item of text.split(',')) {
    const equals = item.indexOf('=');
    if (equals < 0) {
      if (item !== '') set.push(item);
      continue;
    }
    const value = item.slice(equals + 1);
    const key = item.slice(0, equals);
    if (key === 'mode') mode = value;
    else if (key === 'errno') errno = value;
    else throw badValue(`invalid seccomp command-line override: unknown key ${quote(key)}`);
  }
  if (mode !== 'retain' && mode !== 'remove') {
    throw badValue('invalid seccomp mode command-line override: mode must be retain or remove');
  }
  if (errno !== '' && !/^E[A-Z0-9]*$/.test(errno)) throw badValue(`invalid errno ${quote(errno)}`);
  if (set.length === 0) throw badValue('set must be non-empty');
  return { mode, set, errno };
}

function groupIds(previous: readonly number[] | undefined, text: string): readonly number[] {
  const ids = text.split(',').map((item) => {
    if (!/^\d{1,10}$/.test(item) || Number(item) > 0xffff_fffe)
      throw badValue(`${quote(item)} is not a group id`);
    return Number(item);
  });
  return [...(previous ?? []), ...ids];
}

function streamFlag(stream: StreamName, modes: readonly string[]): Flag<string | undefined> {
  const verb = stream === 'stdin' ? 'comes from' : 'goes to';
  return {
    ...optionalTextFlag(`What ${stream} of the app ${verb}; ${modes[0]} by default`, modes.join('|'), {
      complete: modes,
    }),
    set: (_previous, text) => {
      if (!modes.includes(text)) throw badValue(`invalid ${stream} mode ${quote(text)}`);
      return text;
    },
  };
}

const capabilities = (describe: string, hint?: string): Flag<readonly string[]> =>
  commaListFlag(describe, 'LIST', {
    cell: describe.startsWith('Keep') ? 'caps-retain' : 'caps-remove',
    ...(hint === undefined ? {} : { deprecated: hint }),
  });

type AppTable = {
  readonly name: Flag<string | undefined>;
  readonly exec: Flag<string | undefined>;
  readonly 'working-dir': Flag<string | undefined>;
  readonly user: Flag<string | undefined>;
  readonly group: Flag<string | undefined>;
  readonly 'supplementary-gids': Flag<readonly number[] | undefined>;
  readonly mount: Flag<readonly Mount[]>;
  readonly environment: Flag<TextMap>;
  readonly 'readonly-rootfs': Flag<boolean | undefined>;
  readonly memory: Flag<string | undefined>;
  readonly cpu: Flag<string | undefined>;
  readonly 'cpu-shares': Flag<number | undefined>;
  readonly 'oom-score-adj': Flag<number | undefined>;
  readonly 'caps-retain': Flag<readonly string[]>;
  readonly 'caps-remove': Flag<readonly string[]>;
  readonly 'cap-retain': Flag<readonly string[]>;
  readonly 'cap-remove': Flag<readonly string[]>;
  readonly seccomp: Flag<SeccompRequest | undefined>;
  readonly annotation: Flag<TextMap>;
  readonly 'user-annotation': Flag<TextMap>;
  readonly 'user-label': Flag<TextMap>;
  readonly signature: Flag<string | undefined>;
  readonly stdin: Flag<string | undefined>;
  readonly stdout: Flag<string | undefined>;
  readonly stderr: Flag<string | undefined>;
};

/** --signature, which fetch has too. */
export const signatureFlag: Flag<string | undefined> = onceFlag('Signature file of the image', 'FILE', {
  complete: 'file',
});

/** Flags of one image of run and prepare. */
export const APP_FLAGS: AppTable = {
  name: parsedFlag('Name of the app; that of the image by default', 'NAME', loadAppName),
  exec: onceFlag('Program to run instead of that of the image', 'PATH'),
  'working-dir': optionalTextFlag('Directory the app starts in', 'DIR'),
  user: optionalTextFlag('User the app runs as: a name, a number, or a path whose owner to take', 'USER'),
  group: optionalTextFlag('Group the app runs as: a name, a number, or a path whose group to take', 'GROUP'),
  'supplementary-gids': {
    type: 'string',
    describe: 'Further groups of the app, numbers separated by commas',
    placeholder: 'LIST',
    initial: undefined,
    set: groupIds,
  },
  mount: parsedListFlag(
    'Where a volume is mounted, volume=NAME,target=PATH; before any image it counts for all apps',
    'MOUNT',
    loadMount,
  ),
  environment: mapFlag('Environment variable of this app', variablePair),
  'readonly-rootfs': requiredBooleanFlag('Mount the root of the app read-only'),
  memory: parsedFlag('Memory limit, e.g. 256M', 'BYTES', loadMemory),
  cpu: parsedFlag('CPU limit in cores, e.g. 0.5 or 500m', 'CORES', loadCpu),
  'cpu-shares': integerFlag('Weight against other apps when the CPU is short, 2 to 262144', 2, 262_144),
  'oom-score-adj': integerFlag(
    'How soon the kernel kills the app when memory runs out, -1000 to 1000',
    -1000,
    1000,
  ),
  'caps-retain': capabilities('Keep only these capabilities, separated by commas'),
  'caps-remove': capabilities('Take these capabilities away, separated by commas'),
  'cap-retain': capabilities('Keep only these capabilities', 'use --caps-retain instead'),
  'cap-remove': capabilities('Take these capabilities away', 'use --caps-remove instead'),
  seccomp: {
    type: 'string',
    describe: 'System call filter, mode=retain|remove,[errno=NAME,]CALL,...',
    placeholder: 'FILTER',
    initial: undefined,
    set: (_previous, text) => parseSeccomp(text),
  },
  annotation: mapFlag('Annotation of the app in the pod manifest', annotationPair),
  'user-annotation': mapFlag('Annotation of the app for your own use', anyPair),
  'user-label': mapFlag('Label of the app for your own use', anyPair),
  signature: signatureFlag,
  stdin: streamFlag('stdin', INPUT_MODES),
  stdout: streamFlag('stdout', OUTPUT_MODES),
  stderr: streamFlag('stderr', OUTPUT_MODES),
};

/** Flags of a pod that speak of the pod as those of an app do of the app. */
export const DESCRIPTION_FLAGS: Pick<AppTable, 'annotation' | 'user-annotation' | 'user-label'> = {
  annotation: mapFlag('Annotation of the pod in its manifest', annotationPair),
  'user-annotation': mapFlag('Annotation of the pod for your own use', anyPair),
  'user-label': mapFlag('Label of the pod for your own use', anyPair),
};

/** The request for one image of run and prepare. */
export function buildAppRequest(
  image: string,
  args: readonly string[],
  values: FlagValues<AppTable>,
): AppRequest {
  const capsRetain = values['caps-retain'];
  const capsRemove = values['caps-remove'];
  if (capsRetain.length > 0 && capsRemove.length > 0) {
    throw new CliError('bad-value', 'cannot use both --caps-retain and --caps-remove on the same image');
  }
  return {
    image,
    args,
    mounts: values.mount,
    annotations: values.annotation,
    userAnnotations: values['user-annotation'],
    userLabels: values['user-label'],
    environment: values.environment,
    ...present({
      signature: values.signature,
      exec: values.exec,
      workingDir: values['working-dir'],
      readonlyRootfs: values['readonly-rootfs'],
      user: values.user,
      group: values.group,
      supplementaryGids: values['supplementary-gids'],
      name: values.name,
      memory: values.memory,
      cpu: values.cpu,
      cpuShares: values['cpu-shares'],
      oomScoreAdj: values['oom-score-adj'],
      capsRetain: capsRetain.length === 0 ? undefined : capsRetain,
      capsRemove: capsRemove.length === 0 ? undefined : capsRemove,
      seccomp: values.seccomp,
      stdin: values.stdin,
      stdout: values.stdout,
      stderr: values.stderr,
    }),
  };
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out what is undefined. */
export function present<T extends object>(values: T): Present<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>;
}
