// The journal of a pod: the files below its journal directory as one sequence of entries (contract stage1 7.5, 8.5).
// The directory belongs to the pod, so no link in it is followed out of it. Runs in stage0.

import { closeSync, constants, readdirSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { openBeneath, openInRoot, openRoot, procFdPath } from '@rkt/linux/safe-path';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR } from '@rkt/pod-layout/stage1-paths';

import { JournalError } from './errors.ts';
import { type Cursor, type EntryText, type JournalEntry, JournalFile } from './journal-file.ts';

const MAX_FILES = 256;
const { O_DIRECTORY, O_NONBLOCK, O_RDONLY } = constants;

/** The files of a journal as they are now. Close it with `using`. */
export class Journal implements Disposable {
  readonly #files: readonly JournalFile[];
  readonly #logger: Logger;
  // The next entry of each file that has one.
  readonly #heads = new Map<JournalFile, JournalEntry>();

  /**
   * Opens the journal below a pod's stage1.
   * @param cursors Where earlier readers stopped, by file.
   * @throws JournalError `no-journal`, KernelError
   */
  constructor(root: Stage1Root, logger: Logger, cursors: ReadonlyMap<string, Cursor> = new Map()) {
    this.#logger = logger;
    this.#files = openFiles(root, logger, cursors);
    for (const file of this.#files) this.#advance(file);
  }

  /** The next entry in order of time, or undefined behind the last one. */
  next(): JournalEntry | undefined {
    let first: JournalEntry | undefined;
    for (const entry of this.#heads.values())
      if (first === undefined || isBefore(entry, first)) first = entry;
    if (first !== undefined) this.#advance(first.file);
    return first;
  }

  /** What an entry of {@link next} says; undefined when it cannot be read. */
  read(entry: JournalEntry): EntryText | undefined {
    try {
      return entry.file.read(entry);
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  /** Where each file was read to, once {@link next} has given all entries. */
  cursors(): Map<string, Cursor> {
    return new Map(this.#files.map((file) => [file.id, file.cursor]));
  }

  [Symbol.dispose](): void {
    for (const file of this.#files) file[Symbol.dispose]();
  }

  #advance(file: JournalFile): void {
    try {
      const entry = file.next();
      if (entry === undefined) this.#heads.delete(file);
      else this.#heads.set(file, entry);
    } catch (error) {
      this.#heads.delete(file);
      this.#report(error);
    }
  }

  // What can be read of a damaged journal is worth more than an error.
  #report(error: unknown): void {
    if (!hasCode(error, 'damaged')) throw error;
    this.#logger.debug((error as Error).message);
  }
}

function isBefore(a: JournalEntry, b: JournalEntry): boolean {
  return a.realtime === b.realtime ? a.sequence < b.sequence : a.realtime < b.realtime;
}

function openFiles(root: Stage1Root, logger: Logger, cursors: ReadonlyMap<string, Cursor>): JournalFile[] {
  const files: JournalFile[] = [];
  const directory = openDirectory(root);
  try {
    for (const machine of readdirSync(procFdPath(directory)).slice(0, MAX_FILES)) {
      const below = orSkip(() =>
        openBeneath(directory, machine, O_RDONLY | O_DIRECTORY, 0, { noSymlinks: true }),
      );
      if (below === undefined) continue;
      try {
        for (const name of readdirSync(procFdPath(below)).slice(0, MAX_FILES - files.length)) {
          if (!/\.journal~?$/.test(name)) continue;
          const fd = orSkip(() => openBeneath(below, name, O_RDONLY | O_NONBLOCK, 0, { noSymlinks: true }));
          if (fd === undefined) continue;
          try {
            files.push(new JournalFile(fd, name, cursors));
          } catch (error) {
            if (!hasCode(error, 'damaged')) throw error;
            logger.debug((error as Error).message);
          }
        }
      } finally {
        closeSync(below);
      }
    }
    return files;
  } catch (error) {
    for (const file of files) file[Symbol.dispose]();
    throw error;
  } finally {
    closeSync(directory);
  }
}

function openDirectory(root: Stage1Root): number {
  let rootFd: number | undefined;
  try {
    rootFd = openRoot(root);
    return openInRoot(rootFd, JOURNAL_DIR, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTDIR')) throw error;
    throw new JournalError('no-journal', `there is no journal in ${root}`);
  } finally {
    if (rootFd !== undefined) closeSync(rootFd);
  }
}

// What is no directory, or was rotated away at this moment.
function orSkip(open: () => number): number | undefined {
  try {
    return open();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].some((code) => hasCode(error, code))) return undefined;
    throw error;
  }
}
