// Objects of configuration files: keys in any letter case, null means absent, wrong types are errors
// (contract stage0 2.1, 10.3). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';

/** An object whose keys are lower case. */
export type ConfigObject = ReadonlyMap<string, unknown>;

/** @throws ConfigError unless `value` is an object; `name` says which. */
export function asObject(value: unknown, name: string): ConfigObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(`${name} is not an object`);
  // Of keys that differ only in case the last one counts, unless it is null.
  const folded = new Map<string, unknown>();
  for (const [key, item] of Object.entries(value)) {
    if (item !== null) folded.set(key.toLowerCase(), item);
  }
  return folded;
}

/** The text at `key`; empty when absent. */
export function textAt(object: ConfigObject, key: string): string {
  const value = object.get(key.toLowerCase()) ?? '';
  return typeof value === 'string' ? value : refuse(`${quote(key)} is not a string`);
}

/** The list of texts at `key`; empty when absent. */
export function textsAt(object: ConfigObject, key: string): string[] {
  const value = object.get(key.toLowerCase()) ?? [];
  if (!Array.isArray(value)) return refuse(`${quote(key)} is not a list`);
  return value.map((item: unknown) =>
    typeof item === 'string' ? item : refuse(`${quote(key)} is not a list of strings`),
  );
}

/** The object at `key`; empty when absent. */
export function objectAt(object: ConfigObject, key: string): ConfigObject {
  const value = object.get(key.toLowerCase());
  return value === undefined ? new Map() : asObject(value, quote(key));
}
