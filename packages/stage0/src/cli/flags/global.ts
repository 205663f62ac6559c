// The flags every command takes, before or after its name (contract stage0 1.7). Pure; runs in stage0.

import { DEFAULT_DATA_DIR } from '@rkt/pod-layout/data-dir';

import type { Flag, FlagValues } from '../flag.ts';
import { booleanFlag, directoryFlag, textFlag } from '../flag-types.ts';
import type { GlobalFlags, InsecureOptions } from '../requests.ts';
import { insecureOptions } from './insecure.ts';

type GlobalTable = {
  readonly debug: Flag<boolean>;
  readonly dir: Flag<string | undefined>;
  readonly 'system-config': Flag<string>;
  readonly 'local-config': Flag<string>;
  readonly 'user-config': Flag<string | undefined>;
  readonly 'insecure-options': Flag<InsecureOptions>;
  readonly 'trust-keys-from-https': Flag<boolean>;
  readonly cpuprofile: Flag<string>;
  readonly memprofile: Flag<string>;
};

/** Flags of every command. */
export const GLOBAL_FLAGS: GlobalTable = {
  debug: booleanFlag('Say more on stderr, and show errors with all their causes'),
  dir: directoryFlag('Directory of images and pods', undefined, { defaultDescription: DEFAULT_DATA_DIR }),
  'system-config': directoryFlag<string>('Configuration of the distribution', '/usr/lib/rkt'),
  'local-config': directoryFlag<string>('Configuration of this machine', '/etc/rkt'),
  'user-config': directoryFlag('Configuration of the user, read last', undefined),
  'insecure-options': insecureOptions,
  'trust-keys-from-https': booleanFlag('Accept keys that were found over https without asking'),
  cpuprofile: textFlag('File to write a CPU profile to', 'FILE', '', { hidden: true }),
  memprofile: textFlag('File to write a heap snapshot to', 'FILE', '', { hidden: true }),
};

/** The request made of the values of {@link GLOBAL_FLAGS}. */
export function buildGlobalFlags(raw: Readonly<Record<string, unknown>>): GlobalFlags {
  const values = raw as FlagValues<GlobalTable>;
  return {
    debug: values.debug,
    ...(values.dir === undefined ? {} : { dir: values.dir }),
    systemConfig: values['system-config'],
    localConfig: values['local-config'],
    ...(values['user-config'] === undefined ? {} : { userConfig: values['user-config'] }),
    insecure: values['insecure-options'],
    trustKeysFromHttps: values['trust-keys-from-https'],
    ...(values.cpuprofile === '' ? {} : { cpuProfile: values.cpuprofile }),
    ...(values.memprofile === '' ? {} : { memoryProfile: values.memprofile }),
  };
}
