// An entry of a journal as `rkt logs` prints it. Pure. Runs in stage0.

import type { JournalEntry } from '../journal/journal-file.ts';

/** Forms of output, by the names that journalctl gives them. */
export const LOG_FORMATS = ['short', 'json', 'cat'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const NEWLINE = Buffer.from('\n');
const NOTHING = Buffer.alloc(0);

/** Formats entries one after the other. `terminal`: what would steer a terminal is made visible. */
export function entryFormatter(
  format: LogFormat,
  terminal: boolean,
): (entry: JournalEntry, app: string) => Buffer {
  if (format === 'json') return (entry) => Buffer.from(`${json(entry)}\n`);
  const text = terminal
    ? (message: Buffer): Buffer => Buffer.from(visible(message))
    : (message: Buffer) => message;
  if (format === 'cat') return ({ message = NOTHING }) => Buffer.concat([text(message), NEWLINE]);
  return (entry, app) => {
    const pid = entry.pid === undefined ? '' : `[${entry.pid}]`;
    const prefix = `${shortTime(entry.realtimeUs)} ${identifier(entry, app)}${pid}: `;
    return Buffer.concat([
      Buffer.from(prefix),
      indented(text(entry.message ?? NOTHING), prefix.length),
      NEWLINE,
    ]);
  };
}

// What an app calls itself becomes part of a line.
function identifier({ identifier: given }: JournalEntry, app: string): string {
  return given !== undefined && /^[\w.@/+-]+$/.test(given) ? given : app;
}

// `Nov 26 00:06:12`, local time.
function shortTime(realtimeUs: number): string {
  const date = new Date(realtimeUs / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${MONTHS[date.getMonth()] ?? '???'} ${two(date.getDate())} ${time}`;
}

// The lines of one entry stand below each other.
function indented(message: Buffer, columns: number): Buffer {
  if (!message.includes('\n')) return message;
  return Buffer.from(
    message
      .toString('latin1')
      .trimEnd()
      .replaceAll('\n', `\n${' '.repeat(columns)}`),
    'latin1',
  );
}

// Control characters but tab and newline, and those of C1, as \xNN.
function visible(message: Buffer): string {
  return message
    .toString('utf8')
    .replaceAll(/(?![\t\n])[\p{Cc}]/gu, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

// Names and forms of journalctl: values are strings, and what is no UTF-8 is an array of bytes.
function json({
  realtimeUs,
  identifier: given,
  unit,
  pid,
  priority,
  message = NOTHING,
}: JournalEntry): string {
  const text = message.toString('utf8');
  return JSON.stringify({
    __REALTIME_TIMESTAMP: String(realtimeUs),
    SYSLOG_IDENTIFIER: given,
    _SYSTEMD_UNIT: unit,
    _PID: pid,
    PRIORITY: priority,
    MESSAGE: Buffer.from(text).equals(message) ? text : [...message],
  });
}
