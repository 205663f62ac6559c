// Reads the configuration directories and merges them: system, local, user (contract stage0 2.1, 2.3).
// Runs in stage0; synchronous, as nearly every command starts with it.

import { readdirSync, readFileSync, statSync, type Dirent } from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { parseGoJson } from '@rkt/spec/go-json';

import { readAuth } from './auth.ts';
import { EMPTY_CONFIG, type Config } from './config.ts';
import { readDockerAuth } from './docker-auth.ts';
import { readDockerMirrors } from './docker-mirrors.ts';
import { ConfigError, refuse } from './errors.ts';
import { asObject, textAt, type ConfigObject } from './json-object.ts';
import { readLimits } from './limits.ts';
import { readPaths } from './paths.ts';
import { readStage1 } from './stage1.ts';

export type { Config } from './config.ts';

/** Where configuration is looked for; the same names as the global flags. */
export interface ConfigDirectories {
  readonly systemConfig: string;
  readonly localConfig: string;
  readonly userConfig?: string;
}

/** Adds one file to the configuration of its directory. */
type KindReader = (file: ConfigObject, directory: Config) => Config;

const KINDS: ReadonlyMap<string, KindReader> = new Map([
  ['auth', readAuth],
  ['dockerAuth', readDockerAuth],
  ['dockerMirrors', readDockerMirrors],
  ['paths', readPaths],
  ['stage1', readStage1],
  ['limits', readLimits],
]);

const VERSION = 'v1';

const SUBDIRECTORIES: readonly (readonly [name: string, kinds: readonly string[]])[] = [
  ['auth.d', ['auth', 'dockerAuth']],
  // Ours: rkt 1.30 does not look there, so both can share a directory.
  ['mirrors.d', ['dockerMirrors']],
  ['paths.d', ['paths']],
  ['stage1.d', ['stage1']],
  ['limits.d', ['limits']],
];

/**
 * The configuration in force. Directories that do not exist count as empty; a later directory overrides an earlier.
 * @throws ConfigError (possibly as a cause) that names the file or directory.
 */
export function loadConfig({ systemConfig, localConfig, userConfig }: ConfigDirectories): Config {
  let config = EMPTY_CONFIG;
  for (const directory of [systemConfig, localConfig, userConfig]) {
    if (directory === undefined || !isDirectory(directory)) continue;
    config = override(config, readDirectory(directory));
  }
  return config;
}

function readDirectory(root: string): Config {
  let config = EMPTY_CONFIG;
  for (const [name, kinds] of SUBDIRECTORIES) {
    const directory = path.join(root, name);
    if (!isDirectory(directory)) continue;
    for (const file of configFiles(directory)) config = readFile(file, directory, kinds, config);
  }
  return config;
}

function isDirectory(directory: string): boolean {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  return stat.isDirectory() || refuse(`expected ${quote(directory)} to be a directory`);
}

// Symlinks, directories and other names are not configuration.
function configFiles(directory: string): string[] {
  const isConfig = (entry: Dirent): boolean => entry.isFile() && entry.name.endsWith('.json');
  return readdirSync(directory, { withFileTypes: true })
    .filter(isConfig)
    .map(({ name }) => path.join(directory, name))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function readFile(file: string, directory: string, allowed: readonly string[], config: Config): Config {
  const object = asObject(parseGoJson(readFileSync(file, 'utf8'), quote(file)), quote(file));
  const header = (key: string): string =>
    textAt(object, key) || refuse(`no ${key} specified in ${quote(file)}`);
  const [kind, version] = [header('rktKind'), header('rktVersion')];
  const reader = KINDS.get(kind);
  if (reader !== undefined && !allowed.includes(kind)) {
    const kinds = allowed.map(quote).join(', ');
    refuse(
      `configuration directory ${quote(directory)} takes kinds ${kinds}, but ${quote(file)} is of kind ${quote(kind)}`,
    );
  }
  if (reader === undefined)
    refuse(`no parser available for configuration of kind ${quote(kind)} in ${quote(file)}`);
  if (version !== VERSION) {
    refuse(
      `no parser available for configuration of kind ${quote(kind)} and version ${quote(version)} in ${quote(file)}`,
    );
  }
  try {
    return reader(object, config);
  } catch (error) {
    throw located(file, error);
  }
}

// Users see the innermost message only, so the file must be named there.
function located(file: string, error: unknown): unknown {
  const chain =
    error instanceof Error && error.cause instanceof Error
      ? [error.message, error.cause.message]
      : [(error as Error).message];
  return wrap(
    `failed to parse ${quote(file)}`,
    new ConfigError('bad-config', `failed to parse ${quote(file)}: ${chain.join(': ')}`),
  );
}

function override(config: Config, later: Config): Config {
  return {
    auth: new Map([...config.auth, ...later.auth]),
    dockerAuth: new Map([...config.dockerAuth, ...later.dockerAuth]),
    dockerMirrors: new Map([...config.dockerMirrors, ...later.dockerMirrors]),
    paths: {
      data: later.paths.data || config.paths.data,
      stage1Images: later.paths.stage1Images || config.paths.stage1Images,
    },
    stage1: {
      // Name and version are one thing: never the name of one file with the version of another.
      ...(later.stage1.name === '' ? config.stage1 : later.stage1),
      location: later.stage1.location || config.stage1.location,
    },
    limits: { ...config.limits, ...later.limits },
  };
}
