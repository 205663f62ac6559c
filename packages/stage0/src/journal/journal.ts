// The entries of several journal files as one sequence, from a place on, also while they are being written. Runs in
// stage0.

import { closeSync, fstatSync, readdirSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';
import { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from '@rkt/linux/constants';
import { openBeneath, procFdPath } from '@rkt/linux/safe-path';

import { JournalError } from './errors.ts';
import { type JournalEntry, JournalFile } from './journal-file.ts';

/** journald makes a hundred at most; a pod may make any number. */
const MOST_FILES = 512;
/** After so many entries that cannot be read, the rest of a file is given up. */
const MOST_FAULTS = 1000;

interface Cursor {
  readonly name: string;
  readonly fd: number;
  readonly file: JournalFile;
  /** What tells it from all others, also when it is renamed. */
  readonly key: string;
  /** Number of the entry that comes next. */
  index: number;
  /** The place of that entry, once it was asked for. */
  next?: Place & { readonly index: number };
  faults: number;
}

type Place = Pick<JournalEntry, 'seqnum' | 'realtimeUs'>;

/** Where a reader stands in each file. */
export type JournalPlaces = ReadonlyMap<string, number>;

/** Options of {@link Journal}. */
export interface JournalOptions {
  /** Throw `unsupported` for what this reader does not know, rather than pass over it. */
  readonly refuseUnsupported?: boolean;
}

/** The journal files of one or more directories. */
export class Journal implements Disposable {
  readonly #directories: readonly number[];
  readonly #warn: (line: string) => void;
  readonly #refuseUnsupported: boolean;
  // By inode: journald renames files.
  readonly #cursors = new Map<bigint, Cursor>();
  readonly #refused = new Set<bigint>();

  /**
   * @param directories descriptors, which are closed with the journal.
   * @param warn hears of files that cannot be read.
   * @throws KernelError; JournalError `unsupported`, as all methods, if it is to be refused
   */
  constructor(
    directories: readonly number[],
    warn: (line: string) => void,
    { refuseUnsupported = false }: JournalOptions = {},
  ) {
    this.#directories = directories;
    this.#warn = warn;
    this.#refuseUnsupported = refuseUnsupported;
    try {
      this.refresh();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Looks for new files and entries. */
  refresh(): void {
    for (const cursor of this.#cursors.values()) this.#attempt(cursor, () => cursor.file.refresh());
    for (const directory of this.#directories) {
      for (const name of journalNames(directory)) this.#open(directory, name);
    }
  }

  /** Where reading has come to, for {@link goTo} of a journal that is opened later. */
  places(): JournalPlaces {
    return new Map([...this.#cursors.values()].map(({ key, index }) => [key, index]));
  }

  /** Goes to these places, and to the start of files that are new since. */
  goTo(places: JournalPlaces): void {
    for (const cursor of this.#cursors.values()) cursor.index = places.get(cursor.key) ?? 0;
  }

  /** Goes to the first entry that is not older than `realtimeUs`, microseconds since the epoch. */
  seek(realtimeUs: number): void {
    for (const cursor of this.#cursors.values()) {
      let [low, high] = [0, cursor.file.count];
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const place = this.#attempt(cursor, () => cursor.file.place(middle));
        if (place === undefined || place.realtimeUs < realtimeUs) low = middle + 1;
        else high = middle;
      }
      cursor.index = low;
    }
  }

  /** Goes to the last `count` entries that `wanted` accepts, or as far back as the present place. */
  seekLast(count: number, wanted: (entry: JournalEntry) => boolean): void {
    const entries = this.readBack();
    for (let left = count; left > 0;) {
      const { done, value } = entries.next();
      if (done === true) return;
      if (wanted(value)) left -= 1;
    }
  }

  /** Goes to the end, and from there back to the present place. What it gives comes next in {@link read}. */
  readBack(): Generator<JournalEntry, undefined> {
    const starts = new Map([...this.#cursors.values()].map((cursor) => [cursor, cursor.index]));
    for (const cursor of starts.keys()) cursor.index = cursor.file.count;
    return this.#back(starts);
  }

  *#back(starts: Map<Cursor, number>): Generator<JournalEntry, undefined> {
    const heads = new Map<Cursor, JournalEntry>();
    for (;;) {
      let latest: { cursor: Cursor; entry: JournalEntry } | undefined;
      for (const [cursor, start] of starts) {
        const entry = heads.get(cursor) ?? this.#before(cursor, start);
        if (entry === undefined) {
          starts.delete(cursor);
          continue;
        }
        heads.set(cursor, entry);
        if (latest === undefined || isBefore(latest.cursor, latest.entry, cursor, entry)) {
          latest = { cursor, entry };
        }
      }
      if (latest === undefined) return undefined;
      heads.delete(latest.cursor);
      latest.cursor.index -= 1;
      yield latest.entry;
    }
  }

  /** Each entry from the present place to the last known one. */
  *read(): Generator<JournalEntry> {
    for (;;) {
      let first: { cursor: Cursor; place: Place } | undefined;
      for (const cursor of this.#cursors.values()) {
        const place = this.#peek(cursor);
        if (place === undefined) continue;
        if (first === undefined || isBefore(cursor, place, first.cursor, first.place)) {
          first = { cursor, place };
        }
      }
      if (first === undefined) return;
      const { cursor } = first;
      const entry = this.#attempt(cursor, () => cursor.file.entry(cursor.index));
      cursor.index += 1;
      if (entry !== undefined) yield entry;
    }
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#cursors.values()) closeSync(fd);
    this.#cursors.clear();
    for (const directory of this.#directories) closeSync(directory);
  }

  #open(directory: number, name: string): void {
    let fd: number;
    try {
      fd = openBeneath(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0, {
        noSymlinks: true,
      });
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return;
      if (!hasCode(error, 'ELOOP') && !hasCode(error, 'ENXIO')) throw error;
      return;
    }
    const { ino, size } = fstatSync(fd, { bigint: true });
    const isKnown = this.#cursors.has(ino) || this.#refused.has(ino);
    // journald makes a file and then writes into it: an empty one is looked at again.
    if (isKnown || size === 0n || !fstatSync(fd).isFile()) return closeSync(fd);
    try {
      if (this.#cursors.size >= MOST_FILES) throw new JournalError('damaged', 'there are too many of them');
      const file = new JournalFile(fd);
      // A copy has the ID of the first, and an inode is used again.
      this.#cursors.set(ino, { name, fd, file, key: `${ino} ${file.id}`, index: 0, faults: 0 });
    } catch (error) {
      closeSync(fd);
      if (!(error instanceof JournalError)) throw error;
      this.#refuse(name, error);
      this.#refused.add(ino);
      this.#report(name, error);
    }
    return undefined;
  }

  #peek(cursor: Cursor): Place | undefined {
    while (cursor.index < cursor.file.count && cursor.faults < MOST_FAULTS) {
      const { index } = cursor;
      if (cursor.next?.index === index) return cursor.next;
      const place = this.#attempt(cursor, () => cursor.file.place(index));
      if (place !== undefined) {
        cursor.next = { ...place, index };
        return place;
      }
      cursor.index += 1;
    }
    return undefined;
  }

  // The entry before the present one, if it is not before `start`.
  #before(cursor: Cursor, start: number): JournalEntry | undefined {
    while (cursor.index > start && cursor.faults < MOST_FAULTS) {
      const entry = this.#attempt(cursor, () => cursor.file.entry(cursor.index - 1));
      if (entry !== undefined) return entry;
      cursor.index -= 1;
    }
    return undefined;
  }

  // What is damaged is passed over, and said once for each file.
  #attempt<T>(cursor: Cursor, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      this.#refuse(cursor.name, error);
      if (cursor.faults === 0) this.#report(cursor.name, error);
      cursor.faults += 1;
      return undefined;
    }
  }

  #refuse(name: string, { code, message }: JournalError): void {
    if (!this.#refuseUnsupported || code !== 'unsupported') return;
    throw new JournalError('unsupported', `cannot read journal file ${quote(name)}: ${message}`, {
      hint: 'read it with journalctl --file',
    });
  }

  #report(name: string, { message }: JournalError): void {
    this.#warn(`warning: journal file ${quote(name)} cannot be read whole: ${message}`);
  }
}

function journalNames(directory: number): string[] {
  try {
    return readdirSync(procFdPath(directory))
      .filter((name) => /\.journal~?$/.test(name))
      .sort();
  } catch (error) {
    // The pod was deleted; what is open can still be read.
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

// Files with one numbering are compared by number, others by time.
function isBefore(a: Cursor, placeOfA: Place, b: Cursor, placeOfB: Place): boolean {
  return a.file.seqnumId === b.file.seqnumId
    ? placeOfA.seqnum < placeOfB.seqnum
    : placeOfA.realtimeUs < placeOfB.realtimeUs;
}
