// Volumes of pods and apps, and the --volume flag (contract stage0 3.4, 8.6). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { AcName } from './ac-name.ts';
import {
  decodeOrThrow,
  flag,
  given,
  integer,
  optional,
  required,
  scalar,
  struct,
  systemText,
} from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse, SpecError } from './errors.ts';
import { parseBoolean, parseParameters, parseWholeNumber } from './flag-parameters.ts';

export interface Volume {
  readonly name: AcName;
  readonly kind: 'host' | 'empty';
  /** Absolute path on the host; only of host volumes. */
  readonly source?: string;
  readonly readOnly?: boolean;
  /** Whether mounts below the source come along; only of host volumes, true when absent. */
  readonly recursive?: boolean;
  /** Octal text; always there in empty volumes, never in host volumes, as uid and gid. */
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
}

const BAD_KIND = 'unrecognized volume kind: should be one of "empty", "host"';

const Kind: Codec<Volume['kind']> = scalar('VolumeKind', (kind) =>
  kind === 'host' || kind === 'empty' ? kind : refuse(BAD_KIND),
);

const UserId = integer(0, 2 ** 32 - 2, 'uid must be in 0-4294967294 range');
const GroupId = integer(0, 2 ** 32 - 2, 'gid must be in 0-4294967294 range');

export const Volume: Codec<Volume> = struct<Volume>(
  'Volume',
  {
    name: required(AcName, 'volume name must be set'),
    kind: required(Kind, BAD_KIND),
    source: optional(systemText),
    readOnly: given(flag),
    recursive: given(flag),
    mode: given(systemText),
    uid: given(UserId),
    gid: given(GroupId),
  },
  finishVolume,
);

function finishVolume(volume: Volume): Volume {
  const { kind, source } = volume;
  if (kind === 'empty') {
    if (source !== undefined) refuse('source for empty volume must be empty');
    const { mode = '0755', uid = 0, gid = 0 } = volume;
    return { ...volume, mode, uid, gid };
  }
  if (source === undefined) refuse('source for host volume cannot be empty');
  if (!source.startsWith('/')) refuse('source for host volume must be absolute path');
  for (const key of ['mode', 'uid', 'gid'] as const) {
    if (volume[key] !== undefined) refuse(`${key} for host volume cannot be set`);
  }
  return volume;
}

const PARAMETERS: Readonly<Record<string, (key: string, value: string) => unknown>> = {
  kind: (_key, value) => value,
  source: (_key, value) => value,
  mode: (_key, value) => value,
  readOnly: parseBoolean,
  recursive: parseBoolean,
  uid: parseWholeNumber,
  gid: parseWholeNumber,
};

/**
 * The value of a --volume flag: `NAME,kind=host|empty[,key=value...]`, values taken literally.
 *
 * @throws SpecError `bad-flag`
 */
export function parseVolumeFlag(value: string): Volume {
  try {
    const [name = '', ...parts] = value.split(',');
    const volume: Record<string, unknown> = { name };
    for (const [key, text] of parseParameters(parts)) {
      const parse = Object.hasOwn(PARAMETERS, key) ? PARAMETERS[key] : undefined;
      if (parse === undefined) refuse(`unknown volume parameter ${quote(key)}`);
      volume[key] = parse(key, text);
    }
    return decodeOrThrow(Volume, volume, '');
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    throw new SpecError('bad-flag', `invalid value in --volume flag ${quote(value)}: ${error.message}`);
  }
}
