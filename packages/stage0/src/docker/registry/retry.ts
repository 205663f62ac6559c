// When to ask a registry again. Pure; runs in stage0.

/** Answers that mean: not now. */
export const RETRIED_STATUS: ReadonlySet<number> = new Set([429, 502, 503, 504]);
export const MAX_RETRIES = 3;
const MIN_DELAY_MS = 500;
const MAX_DELAY_MS = 20_000;

/**
 * How long to wait before attempt `retry` (from 1), in milliseconds: as long as the server asks for (Retry-After, in
 * seconds or as a date), within bounds: nobody waits for 10^9 seconds.
 */
export function retryDelayMs(
  retryAfter: string | undefined,
  retry: number,
  now: number = Date.now(),
): number {
  const asked = askedMs((retryAfter ?? '').trim(), now) ?? MIN_DELAY_MS * 2 ** (retry - 1);
  return Math.min(Math.max(asked, MIN_DELAY_MS), MAX_DELAY_MS);
}

function askedMs(text: string, now: number): number | undefined {
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : date - now;
}
