// --format of the commands that print tables (contract stage0 7.8, 8.14, 8.16). Pure; runs in stage0.

import { CliError } from '../errors.ts';
import { textFlag } from '../flag-types.ts';
import type { Flag } from '../flag.ts';

const FORMATS = ['', 'json', 'json-pretty'] as const;

/** --format=json|json-pretty; empty is for people. */
export const formatFlag: Flag<string> = textFlag('Print JSON instead of a table', 'json|json-pretty', '', {
  complete: ['json', 'json-pretty'],
});

/** @throws CliError `bad-value` for any other format. */
export function parseFormat(text: string): (typeof FORMATS)[number] {
  const format = FORMATS.find((candidate) => candidate === text);
  if (format === undefined) throw new CliError('bad-value', `Invalid format option: ${text}`);
  return format;
}
