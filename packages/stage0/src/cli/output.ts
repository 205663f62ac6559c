// What commands print for people: tables, ages, sizes, times (contract stage0 8.15, 10.1-10.4). Runs in stage0.

import type { Logger } from '@rkt/diagnostics/logger';
import { printable } from '@rkt/diagnostics/quote';
import { errorChain } from '@rkt/diagnostics/rkt-error';
import { APPC_VERSION } from '@rkt/spec/appc-version';

import { zoneAbbreviation } from './time-zone.ts';

const TAB = 8;

/**
 * Rows of cells as lines without a final newline. Columns are aligned by tabs that count eight characters each; the
 * last cell of a row is not padded. Control characters in cells are escaped: names come from images.
 */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => printable(cell)));
  const longest: number[] = [];
  for (const row of cells) {
    for (const [column, cell] of row.entries())
      longest[column] = Math.max(longest[column] ?? 0, length(cell));
  }
  const widths = longest.map((width) => Math.ceil((width + 1) / TAB) * TAB);
  return cells
    .map((row) => row.map((cell, column) => pad(cell, widths, column, row.length)).join(''))
    .join('\n');
}

function pad(cell: string, widths: readonly number[], column: number, columns: number): string {
  if (column === columns - 1) return cell;
  const missing = (widths[column] ?? 0) - length(cell);
  return cell + '\t'.repeat(Math.max(1, Math.ceil(missing / TAB)));
}

// Characters, not UTF-16 units.
function length(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : [...text].length;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 12 * MONTH;

// Upper bound in seconds (exclusive), what is printed, what the seconds are divided by for N.
const AGES: readonly (readonly [below: number, text: string, divisor: number])[] = [
  [1, 'now', 1],
  [2, '1 second', 1],
  [MINUTE, 'N seconds', 1],
  [2 * MINUTE, '1 minute', 1],
  [HOUR, 'N minutes', MINUTE],
  [2 * HOUR, '1 hour', 1],
  [DAY, 'N hours', HOUR],
  [2 * DAY, '1 day', 1],
  [WEEK, 'N days', DAY],
  [2 * WEEK, '1 week', 1],
  [MONTH, 'N weeks', WEEK],
  [2 * MONTH, '1 month', 1],
  [YEAR, 'N months', MONTH],
  [1.5 * YEAR, '1 year', 1],
  [2 * YEAR, '2 years', 1],
  [37 * YEAR, 'N years', YEAR],
];

/** Age of a time in milliseconds since the epoch; an unknown time is a long while ago. */
export function relativeTime(time: number | undefined, now: number = Date.now()): string {
  const suffix = time !== undefined && time > now ? 'from now' : 'ago';
  const seconds = time === undefined ? Infinity : Math.floor(Math.abs(now - time) / 1000);
  const age = AGES.find(([below]) => seconds < below);
  if (age === undefined) return `a long while ${suffix}`;
  const [, text, divisor] = age;
  return text === 'now' ? text : `${text.replace('N', String(Math.floor(seconds / divisor)))} ${suffix}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** Bytes as `512B`, `9.5KiB`, `17MiB`. */
export function humanSize(bytes: number | bigint): string {
  const size = Number(bytes);
  if (size < 10) return `${size}B`;
  // Logarithms of exact powers may fall a hair short.
  const exponent = Math.min(UNITS.length - 1, Math.floor(Math.log(size) / Math.log(1024) + 1e-12));
  const value = Math.floor((size / 1024 ** exponent) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)}${UNITS[exponent] ?? ''}`;
}

const ZERO_TIME = '0001-01-01 00:00:00 +0000 UTC';

/** Local time `YYYY-MM-DD HH:MM:SS[.mmm] +HHMM ZONE`; an unknown time is Go's zero time. */
export function absoluteTime(time: number | undefined): string {
  if (time === undefined) return ZERO_TIME;
  const date = new Date(Math.floor(time));
  const offset = -date.getTimezoneOffset();
  const day = `${digits(date.getFullYear(), 4)}-${digits(date.getMonth() + 1)}-${digits(date.getDate())}`;
  const clock = `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}`;
  const fraction =
    date.getMilliseconds() === 0 ? '' : `.${digits(date.getMilliseconds(), 3)}`.replace(/0+$/, '');
  const hours = `${digits(Math.floor(Math.abs(offset) / 60))}${digits(Math.abs(offset) % 60)}`;
  const zone = `${offset < 0 ? '-' : '+'}${hours}`;
  return `${day} ${clock}${fraction} ${zone} ${zoneAbbreviation(date, offset) ?? zone}`;
}

function digits(value: number, width = 2): string {
  return String(value).padStart(width, '0');
}

const RULE = '-'.repeat(40);

/** Tells about the rows that could not be shown; `operation` is e.g. `listing pods`. */
export function printListErrors(errors: readonly unknown[], operation: string, logger: Logger): void {
  const blocks = errors.flatMap((error) => [errorBlock(error), RULE]);
  logger.info(
    [
      `${errors.length} error(s) encountered when ${operation}:`,
      RULE,
      ...blocks,
      'misc:',
      `  rkt's appc version: ${APPC_VERSION}`,
      '',
      '',
    ].join('\n'),
  );
}

// Each cause is a line of its own, indented below what it caused.
function errorBlock(error: unknown): string {
  return errorChain(error)
    .map((link, depth) => `${'  '.repeat(depth)}${link.message}`)
    .join('\n');
}
