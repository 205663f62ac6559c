// Configuration of kind `paths` (contract stage0 2.2). Pure; runs in stage0.

import path from 'node:path';

import type { Config, PathsConfig } from './config.ts';
import { ConfigError, refuse } from './errors.ts';
import { textAt, type ConfigObject } from './json-object.ts';

const FIELDS: readonly (readonly [field: keyof PathsConfig, key: string, name: string])[] = [
  ['data', 'data', 'data directory'],
  ['stage1Images', 'stage1-images', 'stage1 images directory'],
];

/** Adds the paths of one file to those of its directory. */
export function readPaths(file: ConfigObject, directory: Config): Config {
  const paths = { ...directory.paths };
  for (const [field, key, name] of FIELDS) {
    const value = textAt(file, key);
    if (value === '') continue;
    if (paths[field] !== '') throw new ConfigError('duplicate-config', `${name} is already specified`);
    if (!path.isAbsolute(value)) refuse(`${name} must be an absolute path`);
    paths[field] = value;
  }
  return { ...directory, paths };
}
