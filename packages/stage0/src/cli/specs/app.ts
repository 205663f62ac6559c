// Commands on the apps of a pod that runs (contract stage0 8.20). Runs in stage0.

import { command, type CommandSpec } from '../command.ts';
import { booleanFlag, fileFlag, optionalTextFlag, parsedListFlag } from '../flag-types.ts';
import { APP_FLAGS, buildAppRequest, DESCRIPTION_FLAGS, present } from '../flags/app.ts';
import { formatFlag, parseFormat } from '../flags/format.ts';
import { buildLaunchFlags, LAUNCH_FLAGS } from '../flags/launch.ts';
import { loadMountVolume, loadSandboxPort } from '../flags/parsers.ts';
import { stage1Choice, STAGE1_FLAGS } from '../flags/stage1.ts';
import type {
  AppListFlags,
  AppNameFlags,
  AppStatusFlags,
  EnterFlags,
  NoFlags,
  SandboxFlags,
} from '../requests.ts';

const appFlag = optionalTextFlag('Name of the app', 'APP');
const UUIDS = 'A UUID may be cut short as long as it means one pod.';
const IN_A_SANDBOX = 'The pod is one that rkt app sandbox has started.';

const {
  interactive: _interactive,
  ipc: _ipc,
  'mds-register': _mdsRegister,
  ...SANDBOX_LAUNCH
} = LAUNCH_FLAGS;

/** rkt app sandbox */
export const sandbox: CommandSpec = command({
  usage: ['app sandbox'],
  description: [
    'Runs a pod without apps until it is stopped. Apps come and go with rkt app add, start, stop and rm; the end of an app does not end the pod.',
  ],
  examples: [
    ['app sandbox --uuid-file-save=/run/web.uuid', 'and tell others its UUID'],
    ['app sandbox --port=http:tcp:80::8080', 'lead port 8080 of the host to port 80 of the pod'],
  ],
  needsRoot: true,
  flags: {
    ...STAGE1_FLAGS,
    ...SANDBOX_LAUNCH,
    port: parsedListFlag(
      'Port of the host that leads to a port of the pod',
      'NAME:PROTOCOL:PODPORT:[HOSTIP]:HOSTPORT',
      loadSandboxPort,
    ),
    'no-overlay': booleanFlag('Copy images instead of mounting them with overlayfs'),
    'uuid-file-save': fileFlag('File to write the UUID of the pod to'),
    ...DESCRIPTION_FLAGS,
  },
  build: (values, env): SandboxFlags => ({
    ...buildLaunchFlags({ ...values, interactive: false, ipc: '', 'mds-register': false }),
    ...stage1Choice(values['stage1-image'], env),
    ports: values.port,
    inheritEnv: false,
    setEnv: [],
    setEnvFile: [],
    noOverlay: values['no-overlay'],
    privateUsers: false,
    pullPolicy: 'new',
    pullPolicyGiven: false,
    storeOnly: false,
    noStore: false,
    limits: {},
    quiet: false,
    volumes: [],
    mounts: [],
    mutable: true,
    annotations: values.annotation,
    userAnnotations: values['user-annotation'],
    userLabels: values['user-label'],
    ...present({ uuidFileSave: values['uuid-file-save'] }),
  }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/app/sandbox.ts'),
});

const { signature: _signature, 'cap-retain': _capRetain, 'cap-remove': _capRemove, ...ADD_FLAGS } = APP_FLAGS;

/** rkt app add */
export const add: CommandSpec = command({
  usage: ['app add UUID IMAGE [-- image-args...]'],
  description: [
    'Adds an app to a sandbox, without starting it. The image must be in the store: rkt fetch puts it there.',
    'Flags of the app stand behind IMAGE, arguments of the app behind --.',
    IN_A_SANDBOX,
    UUIDS,
  ],
  examples: [['app add 0f746094 example.com/web --name=web --memory=64M', 'one app with a limit']],
  grammar: 'word-and-images',
  needsRoot: true,
  words: ['running-pod', 'image'],
  flags: {},
  imageFlags: {
    ...ADD_FLAGS,
    'mnt-volume': parsedListFlag(
      'Volume of this app: name=NAME,kind=host,source=PATH,target=PATH[,readOnly=true] or name=NAME,kind=empty,target=PATH',
      'VOLUME',
      loadMountVolume,
    ),
  },
  imageContext: 'error parsing app image arguments',
  build: (): NoFlags => ({}),
  buildImage: (image, args, values) => {
    const request = buildAppRequest(image, args, {
      ...values,
      signature: undefined,
      'cap-retain': [],
      'cap-remove': [],
    });
    return { ...request, mounts: [...request.mounts, ...values['mnt-volume']] };
  },
  load: () => import('../../commands/app/add.ts'),
});

const named = (values: { readonly app: string | undefined }): AppNameFlags => ({ app: values.app ?? '' });

/** rkt app start */
export const start: CommandSpec = command({
  usage: ['app start UUID --app=APPNAME'],
  description: ['Starts an app that has been added, or one that has ended.', IN_A_SANDBOX, UUIDS],
  needsRoot: true,
  words: ['running-pod'],
  flags: { app: appFlag },
  build: named,
  load: () => import('../../commands/app/start.ts'),
});

/** rkt app stop */
export const stop: CommandSpec = command({
  usage: ['app stop UUID --app=APPNAME'],
  description: ['Stops an app: SIGTERM, and SIGKILL after ten seconds.', IN_A_SANDBOX, UUIDS],
  needsRoot: true,
  words: ['running-pod'],
  flags: { app: appFlag },
  build: named,
  load: () => import('../../commands/app/stop.ts'),
});

/** rkt app rm */
export const rm: CommandSpec = command({
  usage: ['app rm UUID --app=APPNAME'],
  description: [
    'Stops an app and removes it from its pod, with all that it has written.',
    IN_A_SANDBOX,
    UUIDS,
  ],
  needsRoot: true,
  words: ['pod'],
  flags: { app: appFlag },
  build: named,
  load: () => import('../../commands/app/rm.ts'),
});

/** rkt app list */
export const list: CommandSpec = command({
  usage: ['app list UUID'],
  description: ['Lists the apps of a pod with their states.', UUIDS],
  words: ['pod'],
  flags: { 'no-legend': booleanFlag('Leave out the header') },
  build: (values): AppListFlags => ({ noLegend: values['no-legend'] }),
  load: () => import('../../commands/app/list.ts'),
});

/** rkt app status */
export const status: CommandSpec = command({
  usage: ['app status UUID --app=APPNAME [--format=json]'],
  description: ['Shows the state of an app.', UUIDS],
  words: ['pod'],
  flags: { app: appFlag, format: formatFlag },
  build: (values): AppStatusFlags => ({ ...named(values), format: parseFormat(values.format) }),
  load: () => import('../../commands/app/status.ts'),
});

/** rkt app exec */
export const exec: CommandSpec = command({
  usage: ['app exec [--app=APPNAME] UUID [CMD [ARGS ...]]'],
  description: ['Runs a command inside an app of a running pod; /bin/bash if none is given.', UUIDS],
  grammar: 'first-word',
  needsRoot: true,
  words: ['running-pod', 'program'],
  flags: { app: optionalTextFlag('Name of the app, if the pod has several', 'APP') },
  build: (values): EnterFlags => present({ app: values.app }),
  acceptsWords: (words) => words.length >= 1,
  load: () => import('../../commands/enter.ts'),
});
