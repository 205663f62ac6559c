// rkt config: the merged configuration as one JSON document (contract stage0 2.5). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { stringifyGoJson } from '@rkt/spec/go-json';

import type { ConfigFlags, Invocation } from '../cli/requests.ts';
import type { AuthCredentials, Config } from '../config/config.ts';
import { formatMirror } from '../config/docker-mirrors.ts';
import { limitFields } from '../config/limits.ts';
import { loadConfig } from '../config/load.ts';

const RKT_VERSION = 'v1';

export async function run({ global, flags }: Invocation<ConfigFlags>): Promise<number> {
  const text = stringifyGoJson({ stage0: entries(load(global)) }, flags.prettyPrint ? { indent: '\t' } : {});
  writeStdout(`${text}\n`);
  return 0;
}

function load(global: Invocation<ConfigFlags>['global']): Config {
  try {
    return loadConfig(global);
  } catch (error) {
    throw wrap('cannot get configuration', error);
  }
}

// One entry per domain and per registry, so that each can be put into a file of its own.
function entries({ auth, dockerAuth, dockerMirrors, paths, stage1, limits }: Config): object[] {
  const entry = (rktKind: string, content: object): object => ({
    rktVersion: RKT_VERSION,
    rktKind,
    ...content,
  });
  return [
    ...[...auth].map(([domain, credentials]) =>
      entry('auth', {
        domains: [domain],
        type: credentials.type,
        credentials: credentialsObject(credentials),
      }),
    ),
    ...[...dockerAuth].map(([registry, { user, password }]) =>
      entry('dockerAuth', { registries: [registry], credentials: { user, password } }),
    ),
    ...[...dockerMirrors].map(([registry, mirrors]) =>
      entry('dockerMirrors', { registries: [registry], mirrors: mirrors.map(formatMirror) }),
    ),
    entry('paths', { data: paths.data, 'stage1-images': paths.stage1Images }),
    entry('stage1', { name: stage1.name, version: stage1.version, location: stage1.location }),
    // Not of rkt 1.30, whose readers expect what it printed: only where it is used.
    ...(Object.keys(limits).length === 0 ? [] : [entry('limits', limitFields(limits))]),
  ];
}

function credentialsObject(credentials: AuthCredentials): object {
  switch (credentials.type) {
    case 'basic':
      return { user: credentials.user, password: credentials.password };
    case 'oauth':
      return { token: credentials.token };
    case 'aws':
      return {
        accessKeyID: credentials.accessKeyId,
        secretAccessKey: credentials.secretAccessKey,
        awsRegion: credentials.region,
      };
  }
}
