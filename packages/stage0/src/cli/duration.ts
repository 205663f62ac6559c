// Durations as Go writes them, in milliseconds (contract stage0 1.3). Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { badValue } from './errors.ts';

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['\u00b5s', 1e-3], // micro sign
  ['\u03bcs', 1e-3], // Greek mu
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

// Go counts nanoseconds in 63 bits: a little more than 292 years.
const MAX_MS = 2 ** 63 / 1e6;

/**
 * Milliseconds of a duration such as `1h30m`, `-0.5s`, `.5s` or `0`.
 * @throws CliError `bad-value` for anything else, and for what overflows Go's int64 nanoseconds.
 */
export function parseDuration(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = /^[+-]/.test(text) ? text.slice(1) : text;
  if (digits === '0') return 0;
  let total = 0;
  let rest = digits;
  do {
    const part = /^(\d+\.?\d*|\.\d+)([a-z\u00b5\u03bc]+)/.exec(rest);
    const unit = MS_PER_UNIT.get(part?.[2] ?? '');
    if (part === null || unit === undefined) {
      throw badValue(`${quote(text)} is not a duration, write it like 90s, 1h30m or 0`);
    }
    total += Number(part[1]) * unit;
    rest = rest.slice(part[0].length);
  } while (rest !== '');
  if (total >= MAX_MS) throw badValue(`duration ${quote(text)} is too long`);
  return total === 0 ? 0 : sign * total;
}

/** A duration as Go prints it: `30m0s`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(milliseconds: number): string {
  const sign = milliseconds < 0 ? '-' : '';
  const nanoseconds = Math.round(Math.abs(milliseconds) * 1e6);
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1e3) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${sign}${nanoseconds / 1e3}\u00b5s`;
  if (nanoseconds < 1e9) return `${sign}${nanoseconds / 1e6}ms`;
  const hours = Math.floor(nanoseconds / 3.6e12);
  const minutes = Math.floor((nanoseconds % 3.6e12) / 6e10);
  const seconds = Math.round(nanoseconds % 6e10) / 1e9;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}
