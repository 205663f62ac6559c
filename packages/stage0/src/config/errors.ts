// What can be wrong with configuration (contract stage0 2). Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type ConfigErrorCode =
  /** A file cannot be read or is no configuration. */
  | 'bad-config'
  /** The same thing is configured twice in one directory. */
  | 'duplicate-config';

/** Error of a configuration file or directory. */
export class ConfigError extends RktError<ConfigErrorCode> {}

/** Refuses a value of a configuration file. */
export function refuse(message: string): never {
  throw new ConfigError('bad-config', message);
}
