// Web addresses in annotations and discovery (contract stage0 3.1). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';

/** `text` if it is an http or https URL. @throws SpecError */
export function parseWebUrl(text: string): string {
  if (!/^https?:/i.test(text)) refuse('bad URL scheme, must be http/https');
  return URL.canParse(text) ? text : refuse(`bad URL: ${quote(text)}`);
}
