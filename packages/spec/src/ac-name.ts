// AC Name: the name of an app, volume, mount point or port (contract stage0 3.1). Pure; runs in every
// process.

import { scalar } from './codec.ts';
import type { Codec } from './codec.ts';
import { nameGrammar } from './name-grammar.ts';

/** Lower case letters, digits and `-`, with a letter or digit at both ends. */
export type AcName = string;

const grammar = nameGrammar('ACName', '-', '-');

/** `name` if it is an AC Name. @throws SpecError with the contract's sentence. */
export const parseAcName: (name: string) => AcName = grammar.parse;

/**
 * The AC Name nearest to `text`: lower-cased, other characters become `-`.
 *
 * @throws SpecError when nothing is left.
 */
export const sanitizeAcName: (text: string) => AcName = grammar.sanitize;

export const AcName: Codec<AcName> = scalar('ACName', parseAcName);
