// Objects of manifests and configs, field by field. Keys are matched exactly: whoever reads them in any letter case
// could be shown another image than who does not, so keys that differ in case only are refused. Pure; runs in stage0.

import { printable } from '@rkt/diagnostics/quote';
import { parseGoJson } from '@rkt/spec/go-json';

import { DockerError, refuse } from './errors.ts';

/** The object in a JSON text. @throws DockerError `bad-image` */
export function parseFields(bytes: Uint8Array, where: string): Fields {
  let value: unknown;
  try {
    value = parseGoJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), where);
  } catch (error) {
    const { message } = error as Error;
    throw new DockerError('bad-image', message.startsWith(where) ? message : `${where}: ${message}`);
  }
  return new Fields(value, where);
}

/** One object; null counts as absent everywhere. All methods throw DockerError `bad-image` for other types. */
export class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      refuse('bad-image', `${where} is not an object`);
    }
    this.#object = value as Record<string, unknown>;
    this.#where = where;
    const folded = new Set<string>();
    for (const key of Object.keys(this.#object)) {
      const lower = key.toLowerCase();
      if (folded.has(lower)) refuse('bad-image', `${where}: key ${printable(key)} in two letter cases`);
      folded.add(lower);
    }
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  optionalText(key: string): string | undefined {
    const value = this.#get(key);
    if (value === undefined || typeof value === 'string') return value;
    return this.#wrong(key, 'a string');
  }

  /** Empty when absent. */
  text(key: string): string {
    return this.optionalText(key) ?? '';
  }

  /** A whole number from 0 to 2^53. */
  optionalCount(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0))
      return value as number | undefined;
    return this.#wrong(key, 'a size');
  }

  flag(key: string): boolean {
    const value = this.#get(key) ?? false;
    return typeof value === 'boolean' ? value : this.#wrong(key, 'true or false');
  }

  /** Empty when absent. */
  texts(key: string): string[] {
    return this.#list(key).map((item) =>
      typeof item === 'string' ? item : this.#wrong(key, 'a list of strings'),
    );
  }

  optionalObject(key: string): Fields | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : new Fields(value, `${this.#where}: ${key}`);
  }

  objects(key: string): Fields[] {
    return this.#list(key).map((item, at) => new Fields(item, `${this.#where}: ${key}[${at}]`));
  }

  /** The keys of the object at `key`: Go writes sets so. */
  keys(key: string): string[] {
    return Object.keys(this.#map(key));
  }

  /** Texts by name; here names that differ in case are different. */
  textMap(key: string): Map<string, string> {
    const entries = Object.entries(this.#map(key)).filter(([, value]) => value !== null);
    return new Map(
      entries.map(([name, value]) => [
        name,
        typeof value === 'string' ? value : this.#wrong(key, 'a map of strings'),
      ]),
    );
  }

  #map(key: string): object {
    const value = this.#get(key) ?? {};
    return typeof value === 'object' && !Array.isArray(value) ? value : this.#wrong(key, 'an object');
  }

  #list(key: string): readonly unknown[] {
    const value = this.#get(key) ?? [];
    return Array.isArray(value) ? value : this.#wrong(key, 'a list');
  }

  #get(key: string): unknown {
    return Object.hasOwn(this.#object, key) ? (this.#object[key] ?? undefined) : undefined;
  }

  #wrong(key: string, wanted: string): never {
    return refuse('bad-image', `${this.#where}: ${key} is not ${wanted}`);
  }
}
