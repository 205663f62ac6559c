// The `key=value,key=value` texts of --volume, --mount and image names (contract stage0 4.2, 8.6).
// Pure; runs in every process.

import { printable, quote } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';

/** The pairs of `parts` in order. @throws SpecError when a part has no `=` or a key comes twice. */
export function parseParameters(parts: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals === -1) refuse(`${quote(part)} has a label without a value`);
    const key = part.slice(0, equals);
    if (pairs.has(key)) refuse(`label ${printable(key)} with multiple values`);
    pairs.set(key, part.slice(equals + 1));
  }
  return pairs;
}

/** A boolean as Go's flags take it. @throws SpecError naming `key`. */
export function parseBoolean(key: string, value: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  return refuse(`${key} must be true or false, not ${quote(value)}`);
}

/** A whole number in decimal. @throws SpecError naming `key`. */
export function parseWholeNumber(key: string, value: string): number {
  const number = Number(value);
  if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(number)) {
    refuse(`${key} must be a whole number, not ${quote(value)}`);
  }
  return number + 0;
}
