// --since: a moment, or how long ago. Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { parseDuration } from './duration.ts';
import { badValue } from './errors.ts';

// RFC 3339 and what journalctl takes: the time of day and the zone may be left out, and then mean midnight and here.
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/i;
const SECONDS = /^@(\d{1,12})(\.\d+)?$/;

/**
 * Milliseconds since the epoch of `2026-11-26T10:00:00Z`, `2026-11-26 10:00`, `@1795651572`, or, before `now`, of `10m`.
 * @throws CliError `bad-value`
 */
export function parseSince(text: string, now: number): number {
  const seconds = SECONDS.exec(text);
  if (seconds !== null) return Number(text.slice(1)) * 1000;
  const time = TIME.exec(text);
  if (time !== null) {
    const [, day = '', minute = '00:00', second = '', zone = ''] = time;
    // Fractions longer than milliseconds are not everywhere taken.
    const moment = Date.parse(`${day}T${minute}${second.slice(0, 7)}${zone.toUpperCase()}`);
    if (!Number.isNaN(moment)) return moment;
    throw badValue(`${quote(text)} is no time there is`);
  }
  try {
    // journalctl writes -10m, docker 10m.
    return now - Math.abs(parseDuration(text));
  } catch {
    throw badValue(
      `${quote(text)} is neither a time like 2026-01-31T10:00:00Z, @SECONDS or 2026-01-31 10:00, nor a duration like 10m`,
    );
  }
}
