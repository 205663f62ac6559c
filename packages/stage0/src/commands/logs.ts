// `rkt logs`: what the apps of a pod wrote, from the pod's journal. Runs in stage0.

import { isatty } from 'node:tty';
import { setTimeout as sleep } from 'node:timers/promises';

import { createLogger, type Logger, writeStdoutBytes } from '@rkt/diagnostics/logger';
import { isFinished } from '@rkt/pod-layout/lifecycle';

import type { Invocation, LogsFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import type { Journal } from '../journal/journal.ts';
import type { JournalEntry } from '../journal/journal-file.ts';
import { entryFormatter } from '../logs/format.ts';
import { appOf, openPodJournal } from '../logs/pod-journal.ts';
import { chooseApp } from '../pod/choose-app.ts';
import { during } from '../pod/context.ts';
import { readUuidFile, resolvePod } from '../pod/find.ts';
import { findPod, type PodSnapshot } from '../pod/pod.ts';
import { summarizeManifest } from '../pod/summary.ts';

const POLL_MS = 100;
const OUTPUT_BYTES = 64 * 1024;

export async function run({ command, global, flags, args }: Invocation<LogsFlags>): Promise<number> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const argument = flags.uuidFile === undefined ? (args[0] ?? '') : readUuidFile(flags.uuidFile);
  const data = await resolveDataDir(global);
  const pod = during('problem retrieving pod', () => resolvePod(data, argument));
  const apps = during('unable to determine app name', () => chosenApps(pod, flags.app));
  await printLogs(pod, apps, flags, logger);
  return 0;
}

function chosenApps(pod: PodSnapshot, wanted: string | undefined): ReadonlySet<string> {
  const names = summarizeManifest(pod.dir).apps.map(({ name }) => name);
  return new Set(wanted === undefined ? names : [chooseApp(names, wanted, 'logs', () => {})]);
}

// What is there, and with --follow what comes, until the pod has ended.
async function printLogs(
  pod: PodSnapshot,
  apps: ReadonlySet<string>,
  flags: LogsFlags,
  logger: Logger,
): Promise<void> {
  const print = printer(apps, flags);
  let journal: Journal | undefined;
  try {
    for (;;) {
      // In this order: a pod that has ended writes nothing that the reading after it could miss.
      const now = findPod(pod.data, pod.uuid);
      const isOver = now === undefined || isFinished(now.phase);
      if (journal === undefined) {
        journal = openPodJournal(now ?? pod, (line) => logger.info(line));
        if (journal !== undefined) goToStart(journal, apps, flags);
      } else {
        journal.refresh();
      }
      if (journal !== undefined && !print(journal.read())) return;
      if (isOver || !flags.follow) return;
      await sleep(POLL_MS);
    }
  } finally {
    journal?.[Symbol.dispose]();
  }
}

function goToStart(journal: Journal, apps: ReadonlySet<string>, { sinceMs, lines }: LogsFlags): void {
  if (sinceMs !== undefined) journal.seek(sinceMs * 1000);
  if (lines !== undefined) journal.seekLast(lines, (entry) => appOf(entry, apps) !== undefined);
}

// Prints entries in large pieces; false once nobody reads them.
function printer(
  apps: ReadonlySet<string>,
  { output }: LogsFlags,
): (entries: Iterable<JournalEntry>) => boolean {
  const format = entryFormatter(output, isatty(1));
  return (entries) => {
    let pieces: Buffer[] = [];
    let size = 0;
    for (const entry of entries) {
      const app = appOf(entry, apps);
      if (app === undefined) continue;
      const piece = format(entry, app);
      pieces.push(piece);
      size += piece.length;
      if (size < OUTPUT_BYTES) continue;
      if (!writeStdoutBytes(Buffer.concat(pieces, size))) return false;
      [pieces, size] = [[], 0];
    }
    return size === 0 || writeStdoutBytes(Buffer.concat(pieces, size));
  };
}
