// The kinds of flags there are (contract stage0 1.3). Pure; runs in stage0.

import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';

import { parseDuration } from './duration.ts';
import { badValue } from './errors.ts';
import type { Flag, SetFlag } from './flag.ts';

type Extra<V> = Partial<Omit<Flag<V>, 'type' | 'describe' | 'initial' | 'set' | 'load'>>;

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** A boolean in one of Go's spellings, or undefined. */
export function parseBoolean(text: string): boolean | undefined {
  if (TRUE_WORDS.has(text)) return true;
  return FALSE_WORDS.has(text) ? false : undefined;
}

const setBoolean = (_previous: unknown, text: string): boolean => {
  const value = parseBoolean(text);
  if (value === undefined) throw badValue(`${quote(text)} is not a boolean, use true or false`);
  return value;
};

/** `--name` or `--name=true|false`. */
export function booleanFlag(describe: string, initial = false, extra: Extra<boolean> = {}): Flag<boolean> {
  return { type: 'boolean', describe, initial, bare: 'true', set: setBoolean, ...extra };
}

/** A boolean that must be written out, `--name=true`; undefined when it does not occur. */
export function requiredBooleanFlag(describe: string): Flag<boolean | undefined> {
  return {
    type: 'string',
    describe,
    initial: undefined,
    placeholder: 'true|false',
    complete: ['true', 'false'],
    set: setBoolean,
  };
}

/** Any text; the last occurrence counts. */
export function textFlag(
  describe: string,
  placeholder: string,
  initial: string,
  extra: Extra<string> = {},
): Flag<string> {
  return { type: 'string', describe, placeholder, initial, set: (_previous, text) => text, ...extra };
}

/** Any text; undefined when the flag does not occur. */
export function optionalTextFlag(
  describe: string,
  placeholder: string,
  extra: Extra<string | undefined> = {},
): Flag<string | undefined> {
  return {
    type: 'string',
    describe,
    placeholder,
    initial: undefined,
    set: (_previous, text) => text,
    ...extra,
  };
}

/** A path to a file, as typed; undefined when the flag does not occur. */
export function fileFlag(describe: string, extra: Extra<string | undefined> = {}): Flag<string | undefined> {
  return optionalTextFlag(describe, 'FILE', { complete: 'file', ...extra });
}

/** A text that may be given once for each image. */
export function onceFlag(
  describe: string,
  placeholder: string,
  extra: Extra<string | undefined> = {},
): Flag<string | undefined> {
  return {
    ...optionalTextFlag(describe, placeholder, extra),
    set: (previous, text, { name }) => {
      if (previous !== undefined) throw badValue(`--${name} specified multiple times for the same image`);
      return text;
    },
  };
}

/** A directory, made absolute. */
export function directoryFlag<Initial extends string | undefined>(
  describe: string,
  initial: Initial,
  extra: Extra<string | Initial> = {},
): Flag<string | Initial> {
  return {
    type: 'string',
    describe,
    placeholder: 'DIR',
    initial,
    complete: 'directory',
    set: (_previous, text, { cwd }) => {
      if (text === '') throw badValue('"" is not a valid directory');
      return path.isAbsolute(text) ? path.resolve(text) : path.resolve(cwd(), text);
    },
    ...extra,
  };
}

/** One of some words; anything else fails with `reason`. */
export function choiceFlag<Word extends string>(
  describe: string,
  words: readonly Word[],
  initial: Word,
  reason: (text: string) => string,
): Flag<Word> {
  return {
    type: 'string',
    describe,
    placeholder: words.filter((word) => word !== '').join('|'),
    initial,
    complete: words.filter((word) => word !== ''),
    set: (_previous, text) => {
      const word = words.find((candidate) => candidate === text);
      if (word === undefined) throw badValue(reason(text));
      return word;
    },
  };
}

/** A Go duration; the value is in milliseconds. */
export function durationFlag(describe: string, initialText: string): Flag<number> {
  return {
    type: 'string',
    describe,
    placeholder: 'DURATION',
    initial: parseDuration(initialText),
    defaultDescription: initialText,
    set: (_previous, text) => parseDuration(text),
  };
}

/** A decimal integer within bounds; undefined when the flag does not occur. */
export function integerFlag(describe: string, minimum: number, maximum: number): Flag<number | undefined> {
  return {
    type: 'string',
    describe,
    placeholder: 'N',
    initial: undefined,
    set: (_previous, text) => {
      if (!/^[+-]?\d{1,15}$/.test(text)) throw badValue(`${quote(text)} is not an integer`);
      const value = Number(text);
      if (value < minimum || value > maximum) {
        throw badValue(`${value} is out of range, use ${minimum} to ${maximum}`);
      }
      return value;
    },
  };
}

/** Texts in the order given. */
export function listFlag(
  describe: string,
  placeholder: string,
  extra: Extra<readonly string[]> = {},
): Flag<readonly string[]> {
  return {
    type: 'string',
    array: true,
    describe,
    placeholder,
    initial: [],
    set: (previous, text) => [...previous, text],
    ...extra,
  };
}

/** Texts separated by commas; several occurrences accumulate. */
export function commaListFlag(
  describe: string,
  placeholder: string,
  extra: Extra<readonly string[]> = {},
): Flag<readonly string[]> {
  return {
    ...listFlag(describe, placeholder, extra),
    set: (previous, text) => [...previous, ...text.split(',')],
  };
}

/** Values whose parser is loaded when the flag occurs; several occurrences accumulate. */
export function parsedListFlag<T>(
  describe: string,
  placeholder: string,
  load: () => Promise<(text: string, previous: readonly T[]) => T>,
): Flag<readonly T[]> {
  return {
    type: 'string',
    array: true,
    describe,
    placeholder,
    initial: [],
    load: async (): Promise<SetFlag<readonly T[]>> => {
      const parse = await load();
      return (previous, text) => [...previous, parse(text, previous)];
    },
  };
}

/** A value whose parser is loaded when the flag occurs. */
export function parsedFlag<T>(
  describe: string,
  placeholder: string,
  load: () => Promise<(text: string) => T>,
): Flag<T | undefined> {
  return {
    type: 'string',
    describe,
    placeholder,
    initial: undefined,
    load: async (): Promise<SetFlag<T | undefined>> => {
      const parse = await load();
      return (_previous, text) => parse(text);
    },
  };
}
