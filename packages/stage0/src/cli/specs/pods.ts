// Commands on pods that exist already: list, status, enter, attach, logs, stop, rm, gc, export, cat-manifest. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { command, type CommandSpec } from '../command.ts';
import { parseDuration } from '../duration.ts';
import { badValue } from '../errors.ts';
import type { Flag } from '../flag.ts';
import {
  booleanFlag,
  choiceFlag,
  durationFlag,
  fileFlag,
  integerFlag,
  optionalTextFlag,
  parseBoolean,
} from '../flag-types.ts';
import { present } from '../flags/app.ts';
import { formatFlag, parseFormat } from '../flags/format.ts';
import type {
  AttachFlags,
  CatManifestFlags,
  EnterFlags,
  ExportFlags,
  GcFlags,
  ListFlags,
  LogsFlags,
  RmFlags,
  StatusFlags,
  StopFlags,
} from '../requests.ts';
import { parseSince } from '../since.ts';

const uuidFile = fileFlag('File that holds the UUID');
const appFlag = optionalTextFlag('Name of the app, if the pod has several', 'APP');
const UUIDS = 'A UUID may be cut short as long as it means one pod.';

// Exactly one of --uuid-file and words (contract stage0 8.2).
const fileOrWords =
  (most: number) =>
  (words: readonly string[], flags: { readonly uuidFile?: string }): boolean =>
    flags.uuidFile === undefined ? words.length >= 1 && words.length <= most : words.length === 0;

/** rkt list */
export const list: CommandSpec = command({
  usage: ['list'],
  description: ['Lists all pods with their apps, state, age and networks.'],
  examples: [['list --full', 'with whole UUIDs, image IDs and exact times']],
  flags: {
    'no-legend': booleanFlag('Leave out the header'),
    full: booleanFlag('Print whole UUIDs, image IDs and exact times'),
    format: formatFlag,
  },
  build: (values): ListFlags => ({
    noLegend: values['no-legend'],
    full: values.full,
    format: parseFormat(values.format),
  }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/list.ts'),
});

/** Milliseconds to wait; undefined: not at all; Infinity: for ever (contract stage0 8.16). */
export function parseWait(text: string): number | undefined {
  const flag = text === '' ? true : parseBoolean(text);
  if (flag !== undefined) return flag ? Infinity : undefined;
  const duration = parseDuration(text);
  if (duration === 0) return undefined;
  return duration < 0 ? Infinity : duration;
}

function waitFlag(describe: string): Flag<number | undefined> {
  return {
    type: 'string',
    describe,
    placeholder: 'BOOL|DURATION',
    bare: 'true',
    initial: undefined,
    defaultDescription: 'false',
    set: (_previous, text) => {
      try {
        return parseWait(text);
      } catch {
        throw badValue(`${quote(text)} is neither a boolean nor a duration`);
      }
    },
  };
}

/** rkt status */
export const status: CommandSpec = command({
  usage: ['status [--wait=bool|timeout] [--wait-ready=bool|timeout] --uuid-file=FILE | UUID'],
  description: ['Shows the state of a pod, and how its apps ended.', UUIDS],
  examples: [['status --wait=90s 0f746094', 'wait for the end, at most 90 seconds']],
  words: ['pod'],
  flags: {
    wait: waitFlag('Wait until the pod has finished'),
    'wait-ready': waitFlag('Wait until the apps of the pod are ready'),
    format: formatFlag,
    'uuid-file': uuidFile,
  },
  build: (values): StatusFlags => ({
    ...present({
      waitMs: values.wait,
      waitReadyMs: values['wait-ready'],
      uuidFile: values['uuid-file'],
    }),
    format: parseFormat(values.format),
  }),
  acceptsWords: fileOrWords(1),
  load: () => import('../../commands/status.ts'),
});

/** rkt cat-manifest */
export const catManifest: CommandSpec = command({
  usage: ['cat-manifest --uuid-file=FILE | UUID'],
  description: ['Prints the manifest of a pod as JSON.', UUIDS],
  words: ['pod'],
  flags: {
    'pretty-print': booleanFlag('Indent the JSON', true),
    'uuid-file': uuidFile,
  },
  build: (values): CatManifestFlags => ({
    prettyPrint: values['pretty-print'],
    ...present({ uuidFile: values['uuid-file'] }),
  }),
  acceptsWords: (words, flags) => flags.uuidFile !== undefined || words.length === 1,
  load: () => import('../../commands/cat-manifest.ts'),
});

/** rkt enter */
export const enter: CommandSpec = command({
  usage: ['enter [--app=APPNAME] UUID [CMD [ARGS ...]]'],
  description: ['Runs a command inside an app of a running pod; /bin/bash if none is given.', UUIDS],
  examples: [['enter --app=web 0f746094 /bin/ls /', 'one command in the app web']],
  grammar: 'first-word',
  needsRoot: true,
  words: ['running-pod', 'program'],
  flags: { app: appFlag },
  build: (values): EnterFlags => present({ app: values.app }),
  acceptsWords: (words) => words.length >= 1,
  load: () => import('../../commands/enter.ts'),
});

/** rkt attach */
export const attach: CommandSpec = command({
  usage: ['attach [--app=APPNAME] [--mode=MODE] UUID'],
  description: [
    'Connects to the streams or the terminal of an app that was run with --stdin, --stdout or --stderr of mode stream or tty.',
    'Modes: auto, for all there is; list, to print what there is; or some of stdin, stdout, stderr, tty, tty-in and tty-out, separated by commas.',
    'Nothing that was written before is shown. Several can be attached at the same time. On a terminal, ctrl-p ctrl-q leaves the app to itself; it goes on.',
    UUIDS,
  ],
  examples: [
    ['attach 0f746094', 'everything the app offers'],
    ['attach --app=web --mode=stdout,stderr 0f746094', 'its output only'],
    ['attach --mode=list 0f746094', 'what it offers'],
  ],
  needsRoot: true,
  words: ['running-pod'],
  flags: {
    app: appFlag,
    mode: {
      ...optionalTextFlag('What to attach to', 'MODE', {
        complete: ['auto', 'list', 'stdin', 'stdout', 'stderr', 'tty', 'tty-in', 'tty-out'],
      }),
      defaultDescription: 'auto',
    },
  },
  build: (values): AttachFlags => ({ mode: values.mode ?? 'auto', ...present({ app: values.app }) }),
  acceptsWords: (words) => words.length === 1,
  load: () => import('../../commands/attach.ts'),
});

const since: Flag<number | undefined> = {
  type: 'string',
  describe: 'Leave out what is older: a time, or how long ago',
  placeholder: 'TIME|DURATION',
  initial: undefined,
  set: (_previous, text) => parseSince(text, Date.now()),
};

/** rkt logs */
export const logs: CommandSpec = command({
  usage: [
    'logs [--app=APPNAME] [--follow] [--since=TIME|DURATION] [--lines=N] [--output=short|json|cat] --uuid-file=FILE | UUID',
  ],
  description: [
    'Prints what the apps of a pod wrote, while it runs and until it is deleted.',
    'Only what an app writes to the log is there: not what goes to a terminal, and nothing of pods whose stage1 keeps no journal, such as fly.',
    UUIDS,
  ],
  examples: [
    ['logs --follow 0f746094', 'go on until the pod ends'],
    ['logs --app=web --since=10m --output=json 0f746094', 'one app, the last ten minutes, for programs'],
  ],
  words: ['pod'],
  flags: {
    app: appFlag,
    follow: booleanFlag('Go on printing until the pod has ended'),
    since,
    lines: integerFlag('Print only so many of the last lines', 0, 1_000_000_000),
    output: choiceFlag<LogsFlags['output']>(
      'Form: with time and app, JSON as of journalctl, or the text alone',
      ['short', 'json', 'cat'],
      'short',
      (text) => `${quote(text)} is not a form of output, use short, json or cat`,
    ),
    'uuid-file': uuidFile,
  },
  build: (values): LogsFlags => ({
    follow: values.follow,
    output: values.output,
    ...present({
      app: values.app,
      sinceMs: values.since,
      lines: values.lines,
      uuidFile: values['uuid-file'],
    }),
  }),
  acceptsWords: fileOrWords(1),
  load: () => import('../../commands/logs.ts'),
});

/** rkt stop */
export const stop: CommandSpec = command({
  usage: ['stop [--force] --uuid-file=FILE | UUID ...'],
  description: ['Stops running pods: their apps are asked to end, and killed if they do not.', UUIDS],
  words: ['running-pod'],
  flags: { force: booleanFlag('Kill the pod at once'), 'uuid-file': uuidFile },
  build: (values): StopFlags => ({ force: values.force, ...present({ uuidFile: values['uuid-file'] }) }),
  acceptsWords: fileOrWords(Infinity),
  load: () => import('../../commands/stop.ts'),
});

/** rkt rm */
export const rm: CommandSpec = command({
  usage: ['rm --uuid-file=FILE | UUID ...'],
  description: ['Deletes pods that do not run, with everything their apps wrote.', UUIDS],
  needsRoot: true,
  words: ['idle-pod'],
  flags: { 'uuid-file': uuidFile },
  build: (values): RmFlags => present({ uuidFile: values['uuid-file'] }),
  acceptsWords: fileOrWords(Infinity),
  load: () => import('../../commands/rm.ts'),
});

/** rkt gc */
export const gc: CommandSpec = command({
  usage: ['gc [--grace-period=duration] [--expire-prepared=duration]'],
  description: [
    'Deletes pods that ended, failed to be prepared, or were prepared and never run.',
    'A pod that ended is kept for the grace period, so that its files and status can be looked at.',
  ],
  examples: [['gc --grace-period=0 --expire-prepared=0', 'delete everything that does not run']],
  needsRoot: true,
  flags: {
    'grace-period': durationFlag('How long pods that ended are kept', '30m0s'),
    'expire-prepared': durationFlag('How long prepared pods may wait to be run', '24h0m0s'),
    'mark-only': booleanFlag('Only mark what ended; delete nothing'),
  },
  build: (values): GcFlags => ({
    gracePeriodMs: values['grace-period'],
    expirePreparedMs: values['expire-prepared'],
    markOnly: values['mark-only'],
  }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/gc.ts'),
});

/** rkt export */
export const exportPod: CommandSpec = command({
  usage: ['export [--app=APPNAME] UUID OUTPUT_ACI_FILE'],
  description: ['Saves the root of an app of an exited pod as an image file.', UUIDS],
  words: ['exited-pod', 'file'],
  flags: { app: appFlag, overwrite: booleanFlag('Replace the file if it exists') },
  build: (values): ExportFlags => ({ ...present({ app: values.app }), overwrite: values.overwrite }),
  acceptsWords: (words) => words.length === 2,
  load: () => import('../../commands/export.ts'),
});
