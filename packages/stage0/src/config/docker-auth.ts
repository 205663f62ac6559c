// Configuration of kind `dockerAuth` (contract stage0 2.2). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import type { Config } from './config.ts';
import { ConfigError, refuse } from './errors.ts';
import { objectAt, textAt, textsAt, type ConfigObject } from './json-object.ts';

/** Adds the registries of one file to those of its directory. */
export function readDockerAuth(file: ConfigObject, directory: Config): Config {
  const registries = textsAt(file, 'registries');
  if (registries.length === 0) refuse('no registries specified');
  const object = objectAt(file, 'credentials');
  const credentials = {
    user: textAt(object, 'user') || refuse('user not specified'),
    password: textAt(object, 'password') || refuse('password not specified'),
  };
  const dockerAuth = new Map(directory.dockerAuth);
  for (const registry of registries) {
    if (dockerAuth.has(registry)) {
      throw new ConfigError(
        'duplicate-config',
        `credentials for docker registry ${quote(registry)} are already specified`,
      );
    }
    dockerAuth.set(registry, credentials);
  }
  return { ...directory, dockerAuth };
}
