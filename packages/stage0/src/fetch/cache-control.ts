// How long a download stays fresh (contract stage0 4.6). Pure; runs in stage0.

/** Seconds of the Cache-Control header; 0 when it may not be used without asking. The last directive wins. */
export function maxAgeSeconds(cacheControl: string | undefined): number {
  let seconds = 0;
  for (const part of (cacheControl ?? '').split(',')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    switch (name.trim().toLowerCase()) {
      case 'no-store':
      case 'no-cache':
        seconds = 0;
        break;
      case 'max-age':
        seconds = parseSeconds(value.trim()) ?? seconds;
        break;
    }
  }
  return seconds;
}

// Zero-padded numbers do not count; negative ones are 0.
function parseSeconds(text: string): number | undefined {
  if (!/^-?(?:0|[1-9][0-9]*)$/.test(text)) return undefined;
  return Math.min(Math.max(Number(text), 0), Number.MAX_SAFE_INTEGER);
}

/** Whether a download of `downloadTimeMs` needs no question to the server yet. */
export function isFresh(downloadTimeMs: number, maxAge: number, nowMs: number): boolean {
  return maxAge > 0 && Math.floor((nowMs - downloadTimeMs) / 1000) < maxAge;
}
