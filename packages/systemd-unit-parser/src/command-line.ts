// Command lines of ExecStart= and its kin: quoting arguments so that systemd gives the program exactly these bytes,
// and reading them back (systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting"). Pure; runs anywhere.

import { UnitError } from './errors.ts';

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
  "'": "\\'",
};
const NAMED_CHARACTERS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(NAMED_ESCAPES).map(([char, escape]) => [escape.charAt(1), char])),
  s: ' ',
};
const BLANKS = ' \t\n\r';

/** Options of {@link quoteCommandLine}. */
export interface QuoteOptions {
  /**
   * Also write `%` of the program as `%%`. Current versions of systemd (seen with 252) expand specifiers in the
   * program's path; old ones took it literally, which is why this is not the default.
   */
  readonly escapeProgram?: boolean;
}

/** One command of an Exec line. */
export interface ExecCommand {
  /** The special executable prefixes, e.g. `-` or `+!`. */
  readonly prefix: string;
  /** Program and arguments, unquoted. Specifiers (`%i`) and variables (`$X`) are left as they stand. */
  readonly argv: readonly string[];
}

/**
 * The value of an Exec line that starts `argv[0]` with exactly the given arguments: each in double quotes, with `$`
 * and `%` of the arguments doubled so that systemd neither expands variables nor specifiers in them.
 *
 * @throws {UnitError} code `unrepresentable` for an empty `argv` and for NUL bytes.
 */
export function quoteCommandLine(
  argv: readonly string[],
  { escapeProgram = false }: QuoteOptions = {},
): string {
  const [program, ...rest] = argv;
  if (program === undefined) throw new UnitError('unrepresentable', 'a command line needs a program');
  const head = escapeProgram ? program.replaceAll('%', '%%') : program;
  const tail = rest.map((argument) => argument.replaceAll('$', '$$$$').replaceAll('%', '%%'));
  return [head, ...tail].map(quoteWord).join(' ');
}

/**
 * `text` as one word in double quotes with C escapes.
 *
 * @throws {UnitError} code `unrepresentable` for NUL bytes, which no argument of a process can hold.
 */
export function quoteWord(text: string): string {
  let out = '"';
  for (const char of text.toWellFormed()) out += escapeCharacter(char);
  return `${out}"`;
}

/**
 * The words of `text`, split as systemd splits values where quoting is allowed: at white space, with `"` and `'`
 * around any part of a word, and C escapes everywhere.
 *
 * @throws {UnitError} code `syntax` for an open quote or an unknown escape.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let index = skipBlanks(text, 0);
  while (index < text.length) {
    const { word, end } = readWord(text, index);
    words.push(word);
    index = skipBlanks(text, end);
  }
  return words;
}

/**
 * The commands of an Exec line. A lone `;` separates commands, `\;` is the word `;`.
 *
 * @throws {UnitError} code `syntax` as {@link splitWords}, and for a command without a program.
 */
export function splitCommandLine(value: string): ExecCommand[] {
  const commands: ExecCommand[] = [];
  let words: string[] = [];
  const close = (): void => {
    const [first = '', ...rest] = words;
    const prefix = /^[-@:+!|]*/.exec(first)?.[0] ?? '';
    if (first.length === prefix.length)
      throw new UnitError('syntax', `no program in command line "${value}"`);
    commands.push({ prefix, argv: [first.slice(prefix.length), ...rest] });
    words = [];
  };
  let index = skipBlanks(value, 0);
  while (index < value.length) {
    const rest = value.slice(index);
    if (words.length > 0 && /^;(?:[ \t\n\r]|$)/.test(rest)) {
      close();
      index = skipBlanks(value, index + 1);
      continue;
    }
    if (words.length > 0 && /^\\;(?:[ \t\n\r]|$)/.test(rest)) {
      words.push(';');
      index = skipBlanks(value, index + 2);
      continue;
    }
    const { word, end } = readWord(value, index);
    words.push(word);
    index = skipBlanks(value, end);
  }
  if (words.length > 0) close();
  return commands;
}

/** An argument in which systemd has nothing to expand left: `$$` becomes `$` and `%%` becomes `%`. */
export function unescapeArgument(argument: string): string {
  return argument.replaceAll('$$', '$').replaceAll('%%', '%');
}

function escapeCharacter(char: string): string {
  const named = NAMED_ESCAPES[char];
  if (named !== undefined) return named;
  if (char === '\0') throw new UnitError('unrepresentable', 'an argument cannot hold a NUL byte');
  if (char === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char)) return char;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

function skipBlanks(text: string, from: number): number {
  let index = from;
  while (index < text.length && BLANKS.includes(text.charAt(index))) index += 1;
  return index;
}

function readWord(text: string, from: number): { word: string; end: number } {
  // Escapes may name single bytes of a UTF-8 sequence, so the word is collected as bytes.
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  let quote = '';
  let index = from;
  while (index < text.length) {
    const char = String.fromCodePoint(text.codePointAt(index) ?? 0);
    if (quote === '' && BLANKS.includes(char)) break;
    index += char.length;
    if (char === '\\') {
      const escape = readEscape(text, index);
      bytes.push(...escape.bytes);
      index = escape.end;
    } else if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else bytes.push(...encoder.encode(char));
  }
  if (quote !== '') throw new UnitError('syntax', `open ${quote} in "${text}"`);
  return { word: new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes)), end: index };
}

function readEscape(text: string, from: number): { bytes: Iterable<number>; end: number } {
  const rest = text.slice(from, from + 9);
  const named = NAMED_CHARACTERS[rest.charAt(0)];
  if (named !== undefined) return { bytes: [named.charCodeAt(0)], end: from + 1 };
  const byte = /^x([0-9A-Fa-f]{2})/.exec(rest)?.[1];
  const octal = /^[0-7]{3}/.exec(rest)?.[0];
  const point = (/^u([0-9A-Fa-f]{4})/.exec(rest) ?? /^U([0-9A-Fa-f]{8})/.exec(rest))?.[1];
  const code = byte ?? point;
  const number = octal === undefined ? Number.parseInt(code ?? '', 16) : Number.parseInt(octal, 8);
  const isByte = byte !== undefined || octal !== undefined;
  // A NUL byte would cut the argument; surrogates and numbers above Unicode are no characters.
  const isText =
    number > 0 && (isByte ? number <= 0xff : number <= 0x10ffff && (number < 0xd800 || number > 0xdfff));
  if (!isText) throw new UnitError('syntax', `bad escape "\\${rest}"`);
  const end = from + (octal?.length ?? (code?.length ?? 0) + 1);
  return { bytes: isByte ? [number] : new TextEncoder().encode(String.fromCodePoint(number)), end };
}
