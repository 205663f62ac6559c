// Go's flag syntax, token by token (contract stage0 1.3). Written by hand rather than with yargs-parser: that one
// forgets the order of flags and images, and cannot say which token is wrong. Pure; runs in stage0.

import { errorChain } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';

import { CliError } from './errors.ts';
import { findFlag, type Flag, type FlagContext, type FlagTable, type SetFlag } from './flag.ts';
import { parseBoolean } from './flag-types.ts';

/** Values of a table while it is being parsed. */
export interface FlagStore {
  readonly table: FlagTable;
  readonly values: Map<string, unknown>;
}

/** One run of the parser. */
export interface FlagSession {
  /** The table a flag belongs to now, or undefined when there is no such flag. */
  owner(name: string): FlagStore | undefined;
  /** Parsers that were loaded, by flag; see {@link loadSetters}. */
  readonly setters: ReadonlyMap<Flag<unknown>, SetFlag<unknown>>;
  readonly cwd: () => string;
  /** A line for the user that is no error. */
  note(line: string): void;
  /** Set when --help or -h was seen. */
  help: boolean;
}

/** What {@link parseFlags} read. */
export interface ParsedTokens {
  /** Tokens that are no flags and no values of flags. */
  readonly words: readonly string[];
  /** Index of the first token that was not read. */
  readonly next: number;
}

/** A fresh store; each value starts at the flag's initial one. */
export function flagStore(table: FlagTable): FlagStore {
  return { table, values: new Map() };
}

/** All values of a store as an object, by flag name. */
export function storedValues({ table, values }: FlagStore): Record<string, unknown> {
  const entries = Object.entries(table).map(([name, flag]) => {
    const cell = flag.cell ?? name;
    return [name, values.has(cell) ? values.get(cell) : flag.initial] as const;
  });
  return Object.fromEntries(entries);
}

/** Loads the parsers of those flags of `tables` that may occur in `argv`. */
export async function loadSetters(
  argv: readonly string[],
  tables: readonly FlagTable[],
): Promise<Map<Flag<unknown>, SetFlag<unknown>>> {
  const setters = new Map<Flag<unknown>, SetFlag<unknown>>();
  for (const token of argv) {
    if (!token.startsWith('--')) continue;
    const name = token.slice(2).split('=', 1)[0] ?? '';
    for (const table of tables) {
      const flag = findFlag(table, name);
      if (flag?.load !== undefined && !setters.has(flag)) setters.set(flag, await flag.load());
    }
  }
  return setters;
}

/**
 * Reads flags from `tokens[start]` on. With `stop` set to `first-word`, ends before the first token that is no flag
 * (and before `--`); otherwise reads all tokens, and takes what follows `--` as words.
 * @throws CliError `bad-flag`
 */
export function parseFlags(
  tokens: readonly string[],
  start: number,
  session: FlagSession,
  stop: 'first-word' | 'end',
): ParsedTokens {
  const words: string[] = [];
  let at = start;
  while (at < tokens.length) {
    const token = tokens[at] ?? '';
    if (token === '--') {
      if (stop === 'first-word') return { words, next: at };
      return { words: [...words, ...tokens.slice(at + 1)], next: tokens.length };
    }
    if (token.startsWith('--')) at += readLong(tokens, at, session);
    else if (token.length > 1 && token.startsWith('-')) at += readShort(token, session);
    else if (stop === 'first-word') return { words, next: at };
    else {
      words.push(token);
      at += 1;
    }
  }
  return { words, next: at };
}

// Returns how many tokens were read.
function readLong(tokens: readonly string[], at: number, session: FlagSession): number {
  const token = tokens[at] ?? '';
  const body = token.slice(2);
  if (body.startsWith('-') || body.startsWith('=')) throw badFlag(`bad flag syntax: ${token}`);
  const equals = body.indexOf('=');
  const name = equals < 0 ? body : body.slice(0, equals);
  const store = session.owner(name);
  const flag = store && findFlag(store.table, name);
  if (store === undefined || flag === undefined) {
    if (name !== 'help') throw badFlag(`unknown flag: --${name}`);
    session.help = equals < 0 || readBoolean(body.slice(equals + 1), token);
    return 1;
  }
  if (equals >= 0) {
    assign(store, name, flag, body.slice(equals + 1), token, session);
    return 1;
  }
  if (flag.bare !== undefined) {
    assign(store, name, flag, flag.bare, token, session);
    return 1;
  }
  const value = tokens[at + 1];
  if (value === undefined) throw badFlag(`flag needs an argument: --${name}`);
  assign(store, name, flag, value, token, session);
  return 2;
}

// The only letter is -h; like all booleans it takes its value after `=` only.
function readShort(token: string, session: FlagSession): number {
  const [letter = ''] = token.slice(1);
  if (letter !== 'h') throw badFlag(`unknown shorthand flag: '${letter}' in ${token}`);
  const rest = token.slice(2);
  if (rest !== '' && !rest.startsWith('=')) return readShort(`-${rest}`, session);
  session.help = rest === '' || readBoolean(rest.slice(1), token);
  return 1;
}

function readBoolean(text: string, token: string): boolean {
  const value = parseBoolean(text);
  if (value !== undefined) return value;
  throw badFlag(
    `invalid argument ${quote(text)} for ${token}: ${quote(text)} is not a boolean, use true or false`,
  );
}

function assign(
  { values }: FlagStore,
  name: string,
  flag: Flag<unknown>,
  text: string,
  token: string,
  session: FlagSession,
): void {
  const cell = flag.cell ?? name;
  const context: FlagContext = { name, cwd: session.cwd };
  const previous = values.has(cell) ? values.get(cell) : flag.initial;
  try {
    const setter = session.setters.get(flag);
    values.set(
      cell,
      setter === undefined ? flag.set?.(previous, text, context) : setter(previous, text, context),
    );
  } catch (error) {
    throw badFlag(`invalid argument ${quote(text)} for ${token}: ${reasonOf(error)}`);
  }
  if (flag.deprecated !== undefined) session.note(`Flag --${name} has been deprecated, ${flag.deprecated}`);
}

// The reason becomes part of one line, so the whole chain is in it.
function reasonOf(error: unknown): string {
  return errorChain(error)
    .map((link) => link.message)
    .join(': ');
}

function badFlag(message: string): CliError {
  return new CliError('bad-flag', message);
}
