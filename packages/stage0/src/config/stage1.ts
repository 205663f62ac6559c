// Configuration of kind `stage1`: the default stage1 image (contract stage0 2.2). Pure; runs in stage0.

import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';

import type { Config, Stage1Config } from './config.ts';
import { ConfigError, refuse } from './errors.ts';
import { textAt, type ConfigObject } from './json-object.ts';

const SCHEMES: readonly string[] = ['file', 'docker', 'http', 'https'];

/** Adds what one file says about stage1 to what its directory says. */
export function readStage1(file: ConfigObject, directory: Config): Config {
  try {
    return { ...directory, stage1: mergeInDirectory(readFile(file), directory.stage1) };
  } catch (error) {
    throw wrap('invalid stage1 configuration', error);
  }
}

function readFile(file: ConfigObject): Stage1Config {
  const [name, version, location] = [textAt(file, 'name'), textAt(file, 'version'), textAt(file, 'location')];
  if (name !== '' && version === '') {
    refuse('default stage1 image version is not specified, but its name is');
  }
  if (name === '' && version !== '') {
    refuse('default stage1 image name is not specified, but its version is');
  }
  if (location !== '') checkLocation(location);
  return { name, version, location };
}

function mergeInDirectory(file: Stage1Config, directory: Stage1Config): Stage1Config {
  if (file.name !== '' && directory.name !== '') {
    throw new ConfigError('duplicate-config', 'default stage1 image name and version are already specified');
  }
  if (file.location !== '' && directory.location !== '') {
    throw new ConfigError('duplicate-config', 'default stage1 image location is already specified');
  }
  return {
    ...(file.name === '' ? { name: directory.name, version: directory.version } : file),
    location: file.location || directory.location,
  };
}

function checkLocation(location: string): void {
  if (path.isAbsolute(location)) return;
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    refuse(
      `default stage1 image location is either a relative path or a URL without scheme: ${quote(location)}, use an absolute path or a URL`,
    );
  }
  if (!SCHEMES.includes(scheme)) {
    refuse(
      `default stage1 image location ${quote(location)} has scheme ${quote(scheme)}, allowed are ${SCHEMES.map(quote).join(', ')}`,
    );
  }
}
