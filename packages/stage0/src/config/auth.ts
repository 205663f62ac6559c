// Configuration of kind `auth` (contract stage0 2.2). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import type { AuthCredentials, Config } from './config.ts';
import { ConfigError, refuse } from './errors.ts';
import { objectAt, textAt, textsAt, type ConfigObject } from './json-object.ts';

/** Adds the domains of one file to those of its directory. */
export function readAuth(file: ConfigObject, directory: Config): Config {
  const domains = textsAt(file, 'domains');
  if (domains.length === 0) refuse('no domains specified');
  const credentials = readCredentials(textAt(file, 'type'), objectAt(file, 'credentials'));
  const auth = new Map(directory.auth);
  for (const domain of domains) {
    if (auth.has(domain)) {
      throw new ConfigError('duplicate-config', `auth for domain ${quote(domain)} is already specified`);
    }
    auth.set(domain, credentials);
  }
  return { ...directory, auth };
}

function readCredentials(type: string, object: ConfigObject): AuthCredentials {
  const needed = (key: string, missing: string): string => textAt(object, key) || refuse(missing);
  switch (type) {
    case '':
      return refuse('no auth type specified');
    case 'basic':
      return {
        type,
        user: needed('user', 'user not specified'),
        password: needed('password', 'password not specified'),
      };
    case 'oauth':
      return { type, token: needed('token', 'no oauth bearer token specified') };
    case 'aws':
      return {
        type,
        accessKeyId: needed('accessKeyID', 'no AWS Access Key ID specified'),
        secretAccessKey: needed('secretAccessKey', 'no AWS Secret Access Key specified'),
        region: textAt(object, 'awsRegion'),
      };
    default:
      return refuse(`unknown auth type: ${quote(type)}`);
  }
}
