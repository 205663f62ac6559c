// What apps of a pod wrote, as GetLogs answers it (contract stage1 7.5). Runs in stage0.

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from '@rkt/diagnostics/logger';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';

import { absoluteTime } from '../cli/output.ts';
import { openMachineDirectories } from '../journal/directories.ts';
import { Journal, type JournalPlaces } from '../journal/journal.ts';
import type { JournalEntry } from '../journal/journal-file.ts';

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
  let places: JournalPlaces | undefined;
  for (;;) {
    // The files are closed while nobody reads them.
    if (places !== undefined) await sleep(FOLLOW_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    using journal = new Journal(openMachineDirectories(root), (line) => logger.debug(line), {
      refuseUnsupported: true,
    });
    if (places === undefined) await goToStart(journal, query, signal);
    else journal.goTo(places);
    let batch: string[] = [];
    let characters = 0;
    for await (const entry of inTurns(journal.read(), signal)) {
      if (!isWanted(entry, query)) continue;
      for (const line of linesOf(entry)) {
        if (characters + line.length > MESSAGE_CHARACTERS && batch.length > 0) {
          yield batch;
          batch = [];
          characters = 0;
        }
        batch.push(line);
        characters += line.length;
      }
    }
    if (signal.aborted) return;
    if (batch.length > 0 || places === undefined) yield batch;
    if (!query.follow) return;
    places = journal.places();
  }
}

async function goToStart(journal: Journal, query: LogQuery, signal: AbortSignal): Promise<void> {
  if (query.since > 0n) journal.seek(sinceUs(query));
  if (query.last <= 0) return;
  let left = query.last;
  for await (const entry of inTurns(journal.readBack(), signal)) {
    if (isWanted(entry, query)) left -= 1;
    if (left === 0) return;
  }
}

// The entries, with turns for other requests, until `signal` aborts.
async function* inTurns(entries: Iterable<JournalEntry>, signal: AbortSignal): AsyncGenerator<JournalEntry> {
  let count = 0;
  for (const entry of entries) {
    count += 1;
    if (count % ENTRIES_PER_TURN === 0) await turn();
    if (signal.aborted) return;
    yield entry;
  }
}

type Wanted = JournalEntry & { readonly message: Buffer };

// Clocks are set back, so what is old may also come later.
function isWanted(entry: JournalEntry, query: LogQuery): entry is Wanted {
  if (entry.message === undefined || entry.realtimeUs < sinceUs(query)) return false;
  return query.app === '' || entry.identifier === query.app;
}

function sinceUs({ since }: LogQuery): number {
  return Number(since) * 1_000_000;
}

function linesOf({ realtimeUs, message }: Wanted): string[] {
  return `${timestamp(realtimeUs)} ${message.toString('utf8')}`.split('\n').filter((line) => line !== '');
}

/** Microseconds since 1970 as Go prints a time: `2006-01-02 15:04:05.999999999 -0700 MST`. */
export function timestamp(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1_000_000);
  const digits = String(microseconds % 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const time = absoluteTime(seconds * 1000);
  return digits === '' ? time : `${time.slice(0, DATE_AND_TIME)}.${digits}${time.slice(DATE_AND_TIME)}`;
}
