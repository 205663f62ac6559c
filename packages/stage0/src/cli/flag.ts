// How a flag is declared: once, as data that yargs understands (help, completion, suggestions) and that our own
// parser needs for Go's exact rules (contract stage0 1.3). Pure; runs in stage0.

import type { Options } from 'yargs';

/** What a flag may know besides its text. */
export interface FlagContext {
  /** Name as typed, without dashes. */
  readonly name: string;
  /** Working directory of the caller; a function, as it may not exist. */
  readonly cwd: () => string;
}

/** Turns the text of one occurrence into the next value; throws an error whose message is the reason. */
export type SetFlag<V> = Setter<V>['set'];

// A method rather than a function type, so that a flag of any type is a Flag<unknown>.
interface Setter<V> {
  set(previous: V, text: string, context: FlagContext): V;
}

/**
 * One flag with values of type V. The first group of fields is a yargs option as it stands; yargs ignores the rest.
 */
export interface Flag<V> extends Pick<Options, 'hidden' | 'defaultDescription' | 'array'> {
  readonly type: 'boolean' | 'string';
  readonly describe: string;
  /** Hint after `has been deprecated, `. */
  readonly deprecated?: string;

  /** Value when the flag does not occur. */
  readonly initial: V;
  /** Word for the value in help texts, e.g. FILE. */
  readonly placeholder?: string;
  /** Text that a flag without `=VALUE` stands for; such a flag never takes the next token. */
  readonly bare?: string;
  /** Flags of one cell share one value, e.g. the five ways to name a stage1. */
  readonly cell?: string;
  /** Words that shell completion offers, or the kind of file. */
  readonly complete?: readonly string[] | 'file' | 'directory';
  set?(previous: V, text: string, context: FlagContext): V;
  /** For values whose parser is not worth loading before the flag occurs. */
  load?(): Promise<SetFlag<V>>;
}

/** Flags by name, without dashes. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

/** The values of a table after parsing. */
export type FlagValues<F extends FlagTable> = {
  readonly [Name in keyof F]: F[Name] extends Flag<infer V> ? V : never;
};

/** The flag of that name; names such as `constructor` are no flags. */
export function findFlag(table: FlagTable, name: string): Flag<unknown> | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
