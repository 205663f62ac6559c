// The grammar AC Names and AC Identifiers share: lower case letters, digits and some separators, none of them
// at an edge (contract stage0 3.1). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';

/** One of the two kinds of names. */
export interface NameGrammar {
  /** `name` if it is valid. @throws SpecError with the contract's sentence. */
  parse(name: string): string;
  /** The nearest valid name. @throws SpecError when nothing is left. */
  sanitize(text: string): string;
}

/**
 * @param type Name in messages, `ACName` or `ACIdentifier`.
 * @param separators The characters allowed besides letters and digits.
 * @param substitute What other characters become in {@link NameGrammar.sanitize}.
 */
export function nameGrammar(type: string, separators: string, substitute: string): NameGrammar {
  const inSet = (char: string): boolean => isAlphanumeric(char) || separators.includes(char);
  return {
    parse(name) {
      if (name === '') refuse(`${type} cannot be empty`);
      if (![...name].every(inSet)) {
        refuse(`${type} must contain only lower case alphanumeric characters plus "${separators}"`);
      }
      if (!isAlphanumeric(name.charAt(0)) || !isAlphanumeric(name.charAt(name.length - 1))) {
        refuse(`${type} must start and end with only lower case alphanumeric characters`);
      }
      return name;
    },
    sanitize(text) {
      const chars = Array.from(text.toLowerCase(), (char) => (inSet(char) ? char : substitute));
      const first = chars.findIndex(isAlphanumeric);
      const last = chars.findLastIndex(isAlphanumeric);
      if (first === -1) refuse(`${type} cannot be made from ${quote(text)}`);
      return chars.slice(first, last + 1).join('');
    },
  };
}

function isAlphanumeric(char: string): boolean {
  return (char >= 'a' && char <= 'z') || (char >= '0' && char <= '9');
}
