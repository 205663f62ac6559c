// JSON in and out the way Go programs do it (contract stage0 10.3). Keys are matched by the codecs.
// Pure; runs in every process.

import { SpecError } from './errors.ts';
import { findJsonFault, MAX_DEPTH } from './json-syntax.ts';
import type { JsonFault } from './json-syntax.ts';

/**
 * The value of a JSON text. Of duplicate keys the last one counts; a key `__proto__` is an ordinary own key.
 *
 * @param where What is being read; starts the error message.
 * @throws SpecError `bad-json` with line, column and the place marked; also for a byte order mark and for
 *   nesting deeper than {@link MAX_DEPTH}.
 */
export function parseGoJson(text: string, where = 'JSON'): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw syntaxError(text, findJsonFault(text) ?? { offset: 0, reason: (error as Error).message }, where);
  }
  // Deep nesting needs many brackets: only then it is worth looking.
  if (countUpTo(text, '[', MAX_DEPTH) + countUpTo(text, '{', MAX_DEPTH) > MAX_DEPTH) {
    const fault = findJsonFault(text);
    if (fault !== undefined) throw syntaxError(text, fault, where);
  }
  return value;
}

/** Options of {@link stringifyGoJson}. */
export interface StringifyOptions {
  /** One tab per level instead of the compact form. */
  readonly indent?: '\t' | undefined;
}

/**
 * JSON text of plain values and of Maps, keys in their order. `<`, `>`, `&`, U+2028 and U+2029 are escaped,
 * lone surrogates become U+FFFD; undefined is left out of objects.
 */
export function stringifyGoJson(value: unknown, { indent }: StringifyOptions = {}): string {
  return print(value, indent === undefined ? undefined : '\n');
}

// `newline` is the line break with the indentation in force, or undefined for the compact form.
function print(value: unknown, newline: string | undefined): string {
  if (typeof value === 'string') return printString(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const inner = newline === undefined ? undefined : `${newline}\t`;
  const around = (open: string, parts: string[], close: string): string => {
    if (parts.length === 0) return open + close;
    const body = parts.join(`,${inner ?? ''}`);
    return `${open}${inner ?? ''}${body}${newline ?? ''}${close}`;
  };
  if (Array.isArray(value)) {
    return around(
      '[',
      value.map((item) => print(item, inner)),
      ']',
    );
  }
  const colon = newline === undefined ? ':' : ': ';
  const entries: [string, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  const written = entries.filter(([, item]) => item !== undefined);
  return around(
    '{',
    written.map(([key, item]) => printString(key) + colon + print(item, inner)),
    '}',
  );
}

const ESCAPED: Record<string, string> = { '\\b': '\\u0008', '\\f': '\\u000c' };

function printString(value: string): string {
  return JSON.stringify(value.toWellFormed()).replace(
    /[<>&\u2028\u2029]|\\./g,
    (found) =>
      ESCAPED[found] ??
      (found.length > 1 ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}

function countUpTo(text: string, char: string, limit: number): number {
  let count = 0;
  for (let at = text.indexOf(char); at !== -1 && count <= limit; at = text.indexOf(char, at + 1)) count += 1;
  return count;
}

function syntaxError(text: string, { offset, reason }: JsonFault, where: string): SpecError {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const line = before.split('\n').length;
  const message = `${where}: line ${line}, column ${offset - lineStart + 1}: ${reason}`;
  return new SpecError('bad-json', `${message}\n${excerpt(text, lineStart, offset)}`);
}

// The line around the fault, at most 72 columns wide, with a caret below the place.
function excerpt(text: string, lineStart: number, offset: number): string {
  const from = Math.max(lineStart, offset - 36);
  const line = text.slice(from, from + 72).split('\n', 1)[0] ?? '';
  return `    ${line.replace(/[^\x20-\x7e]/g, '.')}\n    ${' '.repeat(offset - from)}^`;
}
