// Image IDs: SHA-512 of an uncompressed ACI, as full hash, as store key and in its two short forms
// (contract stage0 3.1, 3.7, 10.5). Pure; runs in every process.

import { printable, quote } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';

/**
 * `sha512-` and 64 lower case hex digits (71 characters): what the store names an image by. Safe as a file
 * name.
 */
export type ImageKey = string;

/** A hash string split at its dash. */
export interface Hash {
  readonly type: 'sha512';
  /** Not checked for hex digits or length: prefixes of IDs are hashes too. */
  readonly value: string;
}

const KEY_DIGITS = 64;

/** @throws SpecError when `text` is not `sha512-VALUE` with exactly one dash. */
export function parseHash(text: string): Hash {
  const [type = '', value, ...rest] = text.split('-');
  if (value === undefined || rest.length > 0) refuse(`badly formatted hash string: ${quote(text)}`);
  if (type !== 'sha512') refuse(`unrecognized hash type: ${printable(type)}`);
  if (value === '') refuse('unexpected empty hash value');
  return { type, value };
}

/** Whether `text` counts as an image ID rather than a name (contract stage0 4.1). */
export function isHash(text: string): boolean {
  return /^sha512-[^-]+$/.test(text);
}

/**
 * The key of a digest: hex digits with or without `sha512-`, at least 64 of them; the rest is cut off.
 *
 * @throws SpecError when it is anything else, so that a key is always safe as a file name.
 */
export function imageKey(hexOrHash: string): ImageKey {
  const digits = hexOrHash.startsWith('sha512-') ? hexOrHash.slice('sha512-'.length) : hexOrHash;
  if (digits.length < KEY_DIGITS || !/^[0-9a-f]+$/.test(digits)) refuse(`bad image ID ${quote(hexOrHash)}`);
  return `sha512-${digits.slice(0, KEY_DIGITS)}`;
}

/** The 39 characters `rkt fetch` prints. */
export function shortHash(key: ImageKey): string {
  return key.slice(0, 39);
}

/** The 19 characters tables print. */
export function listHash(key: ImageKey): string {
  return key.slice(0, 19);
}
