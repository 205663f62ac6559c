// Mounts of an app, and the --mount flag (contract stage0 3.4, 8.6). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { AcName, parseAcName } from './ac-name.ts';
import { given, required, struct, systemText } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse, SpecError } from './errors.ts';
import { parseParameters } from './flag-parameters.ts';
import { parseVolumeFlag, Volume } from './volume.ts';

export interface Mount {
  readonly volume: AcName;
  /** Where in the app's root; relative paths start there too. */
  readonly path: string;
  /** A volume of this app alone, instead of the pod volume of that name. */
  readonly appVolume?: Volume;
}

export const Mount: Codec<Mount> = struct<Mount>('Mount', {
  volume: required(AcName, 'mount volume must be set'),
  path: required(systemText, 'mount path must be set'),
  appVolume: given(Volume),
});

/**
 * The value of a --mount flag: `volume=NAME,target=PATH`, percent-decoded like a query.
 *
 * @throws SpecError `bad-flag`
 */
export function parseMountFlag(value: string): Mount {
  try {
    const parameters = parseParameters(value.split(/[,&]/));
    const decoded = new Map([...parameters].map(([key, text]) => [decodeQuery(key), decodeQuery(text)]));
    for (const key of decoded.keys()) {
      if (key !== 'volume' && key !== 'target') refuse(`unknown mount parameter ${quote(key)}`);
    }
    const volume = parseVolumeName(decoded.get('volume') ?? '', value);
    const path = decoded.get('target') ?? '';
    if (path === '') refuse('target is missing');
    if (path.includes('\0')) refuse('target must not contain a NUL character');
    return { volume, path };
  } catch (error) {
    if (!(error instanceof SpecError) || error.code === 'bad-flag') throw error;
    throw new SpecError('bad-flag', `invalid value in --mount flag ${quote(value)}: ${error.message}`);
  }
}

function parseVolumeName(name: string, value: string): AcName {
  try {
    return parseAcName(name);
  } catch (error) {
    const reason = (error as Error).message;
    throw new SpecError(
      'bad-flag',
      `invalid volume name ${quote(name)} in --mount flag ${quote(value)}: ${reason}`,
    );
  }
}

function decodeQuery(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return refuse(`invalid URL escape in ${quote(text)}`);
  }
}

/**
 * The value of a --mnt-volume flag, a volume of one app and where it is mounted: `name=NAME,kind=...,target=PATH` and
 * what --volume takes (contract stage0 8.20).
 *
 * @throws SpecError `bad-flag`
 */
export function parseMountVolumeFlag(value: string): Mount {
  const parts = value.split(',');
  const take = (key: string): string => {
    const found = parts.find((part) => part.startsWith(`${key}=`));
    if (found === undefined) {
      throw new SpecError(
        'bad-flag',
        `invalid value in --mnt-volume flag ${quote(value)}: ${key} is missing`,
      );
    }
    parts.splice(parts.indexOf(found), 1);
    return found.slice(key.length + 1);
  };
  const [name, target] = [take('name'), take('target')];
  const volume = parseVolumeFlag([name, ...parts].join(','));
  const mount = parseMountFlag(`volume=${name},target=${target}`);
  return { ...mount, appVolume: volume };
}
