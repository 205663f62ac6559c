// Configuration of kind `limits`: how much an image may cost (design: hostile inputs 21, 22). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { type LimitValues, RAISABLE_LIMITS, type RaisableLimit } from '../unpack/limits.ts';
import { parseByteCount } from './byte-count.ts';
import type { Config } from './config.ts';
import { ConfigError, refuse } from './errors.ts';
import type { ConfigObject } from './json-object.ts';

/** Adds the limits of one file to those of its directory. */
export function readLimits(file: ConfigObject, directory: Config): Config {
  const limits: Partial<Record<RaisableLimit, number>> = { ...directory.limits };
  for (const name of Object.keys(RAISABLE_LIMITS) as RaisableLimit[]) {
    const value = file.get(name);
    if (value === undefined) continue;
    if (limits[name] !== undefined) {
      throw new ConfigError('duplicate-config', `${name} is already specified`);
    }
    limits[name] = wholeNumber(name, value);
  }
  return { ...directory, limits };
}

/** As `rkt config` prints them: fields in the order of {@link RAISABLE_LIMITS}. */
export function limitFields(limits: LimitValues): Record<string, number> {
  return Object.fromEntries(
    (Object.keys(RAISABLE_LIMITS) as RaisableLimit[]).flatMap((name) => {
      const value = limits[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

// A number, or a text such as "64Gi".
function wholeNumber(name: string, value: unknown): number {
  const number = typeof value === 'string' ? parseByteCount(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number > 0
    ? number
    : refuse(`${quote(name)} is not a positive whole number, such as 1000 or "64Gi"`);
}
