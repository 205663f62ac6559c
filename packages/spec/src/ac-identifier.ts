// AC Identifier: the name of an image, label, annotation or isolator (contract stage0 3.1).
// Pure; runs in every process.

import { scalar } from './codec.ts';
import type { Codec } from './codec.ts';
import { nameGrammar } from './name-grammar.ts';

/** Lower case letters, digits and `-._~/`, with a letter or digit at both ends. */
export type AcIdentifier = string;

const grammar = nameGrammar('ACIdentifier', '-._~/', '_');

/** `name` if it is an AC Identifier. @throws SpecError with the contract's sentence. */
export const parseAcIdentifier: (name: string) => AcIdentifier = grammar.parse;

/**
 * The AC Identifier nearest to `text`: lower-cased, other characters become `_`.
 *
 * @throws SpecError when nothing is left.
 */
export const sanitizeAcIdentifier: (text: string) => AcIdentifier = grammar.sanitize;

export const AcIdentifier: Codec<AcIdentifier> = scalar('ACIdentifier', parseAcIdentifier);

/** Whether two AC Names or Identifiers mean the same: lookups ignore case (contract stage0 3.1). */
export function sameName(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase();
}
