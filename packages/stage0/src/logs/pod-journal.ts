// The journal of a pod: where it is, and which entries are its apps' (contract stage1 1.7, 2.14, 7). Runs in stage0.
//
// Nothing of the pod or its stage1 is executed: only files are read, through descriptors that no link leads away from.

import { existsSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { treeDir, treeRootfs } from '@rkt/pod-layout/data-dir';
import { hasRun } from '@rkt/pod-layout/lifecycle';
import { stage1Root } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost } from '@rkt/pod-layout/stage1-paths';

import { openMachineDirectory } from '../journal/directories.ts';
import { JournalError } from '../journal/errors.ts';
import { Journal } from '../journal/journal.ts';
import type { JournalEntry } from '../journal/journal-file.ts';
import { PodError } from '../pod/errors.ts';
import type { PodSnapshot } from '../pod/pod.ts';
import { stage1TreeId, statusRoot } from '../pod/record.ts';

/**
 * Opens the journal; undefined while the pod has written nothing.
 * @throws PodError `wrong-state` before the pod has run; JournalError `no-journal` for a stage1 that keeps none.
 */
export function openPodJournal(pod: PodSnapshot, warn: (line: string) => void): Journal | undefined {
  if (!hasRun(pod.phase)) {
    throw new PodError('wrong-state', `pod ${quote(pod.uuid)} has not been run, it is ${pod.phase}`);
  }
  const root = statusRoot(pod.dir);
  const kept = [root, stage1Root(treeRootfs(treeDir(pod.data, stage1TreeId(pod.dir))))];
  if (!kept.some((each) => existsSync(onHost(each, JOURNAL_DIR)))) {
    throw new JournalError('no-journal', `logging unsupported for pod ${quote(pod.uuid)}`, {
      hint: 'its stage1 keeps no journal; the output went to whoever ran the pod',
    });
  }
  const directory = openMachineDirectory(root, pod.uuid.replaceAll('-', ''));
  return directory === undefined ? undefined : new Journal([directory], warn);
}

/** The app that wrote an entry, of those in the pod; undefined for entries of stage1 itself. */
export function appOf({ unit, identifier }: JournalEntry, apps: ReadonlySet<string>): string | undefined {
  // The unit is what systemd says, the identifier what the app says.
  const name = unit?.endsWith('.service') === true ? unit.slice(0, -'.service'.length) : undefined;
  if (name !== undefined && apps.has(name)) return name;
  return identifier !== undefined && apps.has(identifier) ? identifier : undefined;
}
