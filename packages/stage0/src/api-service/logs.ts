// What apps of a pod wrote, as GetLogs answers it (contract stage1 7.5). Runs in stage0.

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from '@rkt/diagnostics/logger';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';

import { absoluteTime } from '../cli/output.ts';
import { Journal } from '../journal/journal.ts';
import type { Cursor, JournalEntry } from '../journal/journal-file.ts';

/** How often a journal that is followed is looked at. */
const FOLLOW_MS = 200;
/** Other requests get their turn after so many entries. */
const ENTRIES_PER_TURN = 256;
/** Clients accept messages of 4 MiB unless they were told otherwise. */
const MESSAGE_CHARACTERS = 1024 * 1024;
const DATE_AND_TIME = 'YYYY-MM-DD HH:MM:SS'.length;

/** Which lines. */
export interface LogQuery {
  /** Of this app only; empty for all. */
  readonly app: string;
  /** The last entries only; 0 for all. */
  readonly last: number;
  /** Seconds since 1970. */
  readonly since: bigint;
  readonly follow: boolean;
}

/**
 * Batches of lines, each `TIME MESSAGE`. Without `follow` there is one batch unless it would be too large for a
 * message; with it, batches come as the pod writes until `signal` aborts.
 * @throws JournalError, KernelError
 */
export async function* readLogs(
  root: Stage1Root,
  query: LogQuery,
  logger: Logger,
  signal: AbortSignal,
): AsyncGenerator<string[]> {
  let cursors: ReadonlyMap<string, Cursor> = new Map();
  let { last } = query;
  let isFirst = true;
  for (;;) {
    // The files are closed while nobody reads them.
    if (!isFirst) await sleep(FOLLOW_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    using journal = new Journal(root, logger, cursors);
    const entries = last > 0 ? lastOf(journal, query, last) : matching(journal, query);
    let batch: string[] = [];
    let characters = 0;
    for await (const { entry, message } of entries) {
      if (signal.aborted) return;
      for (const line of linesOf(entry.realtime, message)) {
        if (characters + line.length > MESSAGE_CHARACTERS && batch.length > 0) {
          yield batch;
          batch = [];
          characters = 0;
        }
        batch.push(line);
        characters += line.length;
      }
    }
    if (batch.length > 0 || isFirst) yield batch;
    if (!query.follow) return;
    cursors = journal.cursors();
    last = 0;
    isFirst = false;
  }
}

interface Found {
  readonly entry: JournalEntry;
  readonly message: string;
}

async function* matching(journal: Journal, { app, since }: LogQuery): AsyncGenerator<Found> {
  const sinceMicroseconds = since * 1_000_000n;
  let count = 0;
  for (let entry = journal.next(); entry !== undefined; entry = journal.next()) {
    count += 1;
    if (count % ENTRIES_PER_TURN === 0) await turn();
    if (entry.realtime < sinceMicroseconds) continue;
    const text = journal.read(entry);
    if (text?.message === undefined || (app !== '' && text.identifier !== app)) continue;
    yield { entry, message: text.message };
  }
}

// Only places are kept until the end is known, however long the messages are.
async function* lastOf(journal: Journal, query: LogQuery, last: number): AsyncGenerator<Found> {
  let places: JournalEntry[] = [];
  for await (const { entry } of matching(journal, query)) {
    places.push(entry);
    if (places.length >= 2 * last) places = places.slice(-last);
  }
  for (const entry of places.slice(-last)) {
    const message = journal.read(entry)?.message;
    if (message !== undefined) yield { entry, message };
  }
}

function linesOf(realtime: bigint, message: string): string[] {
  return `${timestamp(realtime)} ${message}`.split('\n').filter((line) => line !== '');
}

/** Microseconds since 1970 as Go prints a time: `2006-01-02 15:04:05.999999999 -0700 MST`. */
export function timestamp(microseconds: bigint): string {
  const seconds = microseconds / 1_000_000n;
  const digits = String(microseconds % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const time = absoluteTime(Number(seconds) * 1000);
  return digits === '' ? time : `${time.slice(0, DATE_AND_TIME)}.${digits}${time.slice(DATE_AND_TIME)}`;
}
