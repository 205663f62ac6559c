// Pod UUIDs (contract stage0 3.1). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';
import { v4 } from 'uuid';

import { refuse } from './errors.ts';

/** Lower case, 8-4-4-4-12. */
export type Uuid = string;

/** The UUID of 32 hex digits in any case, with dashes anywhere or nowhere. @throws SpecError */
export function parseUuid(text: string): Uuid {
  if (text === '') refuse('UUID cannot be empty');
  const digits = text.replaceAll('-', '').toLowerCase();
  if (digits.length !== 32) refuse('bad UUID length != 32');
  if (!/^[0-9a-f]{32}$/.test(digits)) refuse(`bad UUID ${quote(text)}: not hexadecimal`);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * A fresh random UUID (version 4).
 *
 * @param random 16 random bytes. Without them node's crypto is loaded, which costs a start some milliseconds.
 */
export function newUuid(random?: Uint8Array): Uuid {
  return v4(random === undefined ? undefined : { random });
}
