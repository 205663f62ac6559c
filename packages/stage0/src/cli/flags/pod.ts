// Flags that say what goes into a new pod (contract stage0 8.3, column P of run and prepare). Pure; runs in stage0.

import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import type { Mount } from '@rkt/spec/mount';
import type { ExposedPort } from '@rkt/spec/port';
import type { Volume } from '@rkt/spec/volume';

import { badValue, CliError } from '../errors.ts';
import type { Flag, FlagValues } from '../flag.ts';
import { booleanFlag, fileFlag, parsedListFlag } from '../flag-types.ts';
import type { AppRequest, EnvironmentFlag, PrepareFlags, PullPolicy, Stage1Choice } from '../requests.ts';
import { present } from './app.ts';
import { setEnv, setEnvFile } from './environment.ts';
import { buildLimits, LIMIT_FLAGS } from './limits.ts';
import { loadMount, loadPort, loadVolume } from './parsers.ts';
import { stage1Choice, STAGE1_FLAGS } from './stage1.ts';

const PULL_POLICIES: readonly PullPolicy[] = ['new', 'update', 'never'];

type PullTable = {
  readonly 'pull-policy': Flag<PullPolicy | undefined>;
  readonly 'store-only': Flag<boolean>;
  readonly 'no-store': Flag<boolean>;
};

/** When to ask the store and when the network; `initial` is for help texts. */
export function pullFlags(initial: PullPolicy): PullTable {
  return {
    'pull-policy': {
      type: 'string',
      describe: 'When to download: new (if not in the store), update (if there is a newer one), never',
      placeholder: PULL_POLICIES.join('|'),
      initial: undefined,
      defaultDescription: initial,
      complete: PULL_POLICIES,
      set: (_previous, text) => {
        const policy = PULL_POLICIES.find((word) => word === text);
        if (policy === undefined) throw badValue(`pull policy must be one of ${PULL_POLICIES.join(', ')}`);
        return policy;
      },
    },
    'store-only': booleanFlag('Use only images of the store', false, {
      hidden: true,
      deprecated: 'please use --pull-policy=never',
    }),
    'no-store': booleanFlag('Download images even if they are in the store', false, {
      hidden: true,
      deprecated: 'please use --pull-policy=update',
    }),
  };
}

/** The policy that counts. */
export function pullPolicy(values: FlagValues<PullTable>, initial: PullPolicy): PullPolicy {
  if (values['store-only']) return 'never';
  return values['no-store'] ? 'update' : (values['pull-policy'] ?? initial);
}

type PodTable = typeof STAGE1_FLAGS &
  typeof LIMIT_FLAGS &
  PullTable & {
    readonly volume: Flag<readonly Volume[]>;
    readonly mount: Flag<readonly Mount[]>;
    readonly port: Flag<readonly ExposedPort[]>;
    readonly 'set-env': Flag<readonly EnvironmentFlag[]>;
    readonly 'set-env-file': Flag<readonly EnvironmentFlag[]>;
    readonly 'inherit-env': Flag<boolean>;
    readonly 'no-overlay': Flag<boolean>;
    readonly 'private-users': Flag<boolean>;
    readonly 'pod-manifest': Flag<string | undefined>;
  };

/** Flags of run and prepare. */
export const POD_FLAGS: PodTable = {
  volume: parsedListFlag(
    'Volume of the pod: NAME,kind=host,source=PATH[,readOnly=true][,recursive=true] or NAME,kind=empty[,mode=MODE][,uid=UID][,gid=GID]',
    'VOLUME',
    loadVolume,
  ),
  mount: parsedListFlag('Mount of a volume in all apps, volume=NAME,target=PATH', 'MOUNT', loadMount),
  port: parsedListFlag('Port of the host that leads to a port of an app', 'NAME:[HOSTIP:]HOSTPORT', loadPort),
  'set-env': setEnv,
  'set-env-file': setEnvFile,
  'inherit-env': booleanFlag('Give the apps the environment of rkt'),
  'no-overlay': booleanFlag('Copy images instead of mounting them with overlayfs'),
  'private-users': booleanFlag('Run the pod with users of its own'),
  'pod-manifest': fileFlag('Pod manifest to use; images and their flags must not be given with it'),
  ...STAGE1_FLAGS,
  ...pullFlags('new'),
  ...LIMIT_FLAGS,
};

/** The request made of the values of {@link POD_FLAGS}; `quiet` is a flag of prepare. */
export function buildPodFlags(
  values: FlagValues<PodTable>,
  quiet: boolean,
  env: Readonly<Record<string, string>>,
): PrepareFlags {
  const choice: Stage1Choice | undefined = values['stage1-image'];
  return {
    ...stage1Choice(choice, env),
    ports: values.port,
    inheritEnv: values['inherit-env'],
    setEnv: values['set-env'],
    setEnvFile: values['set-env-file'],
    noOverlay: values['no-overlay'],
    privateUsers: values['private-users'],
    pullPolicy: pullPolicy(values, 'new'),
    pullPolicyGiven: pullPolicy(values, 'new') !== 'new',
    storeOnly: values['store-only'],
    noStore: values['no-store'],
    ...present({ podManifest: values['pod-manifest'] }),
    limits: buildLimits(values),
    quiet,
    volumes: values.volume,
    mounts: values.mount,
  };
}

/**
 * Each mount must name a volume of the pod (contract stage0 8.6).
 * @throws CliError `bad-image-arguments`
 */
export function checkMounts(flags: PrepareFlags, apps: readonly AppRequest[]): void {
  const volumes = new Set(flags.volumes.map(({ name }) => name));
  for (const mount of [...flags.mounts, ...apps.flatMap(({ mounts }) => mounts)]) {
    if (!volumes.has(mount.volume)) {
      throw new CliError(
        'bad-image-arguments',
        `dangling mount point ${quote(path.normalize(mount.path))}: volume ${quote(mount.volume)} not found`,
      );
    }
  }
}
