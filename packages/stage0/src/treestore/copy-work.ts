// What is left to copy of one tree, in memory that two threads share: directories and large files, by name. Runs in
// stage0, in its main thread and in that of copy-thread.ts.
//
// Whoever has nothing to do takes an entry, copies it, and adds the directories it found. A directory is whole when
// its own entries are there, so nobody ever waits for what another one is at, but at the end.

import type { BytePath } from '../unpack/byte-path.ts';

/** An entry: a directory, made but empty, or the content of a large file, of which the same is true. */
export interface CopyItem {
  readonly kind: 'directory' | 'file';
  readonly path: BytePath;
}

/** Indexes into the words at the start of the memory. */
const WORD = {
  /** 1 while somebody changes the others. */
  lock: 0,
  /** Entries that wait. */
  waiting: 1,
  /** Entries that are not done: those that wait, those with a thread, and what a thread keeps for itself. */
  left: 2,
  /** 1 when nobody is to take any more. */
  closed: 3,
  /** Counts what those who wait for entries should look at. */
  changes: 4,
  /** 1 once the second thread has come. */
  joined: 5,
} as const;
const HEADER_BYTES = 64;
// PATH_MAX
const NAME_BYTES = 4096;
// The length of a name and its kind come first.
const SLOT_BYTES = NAME_BYTES + 4;
/** What does not fit stays with whoever found it. */
const SLOTS = 512;
const KINDS = ['directory', 'file'] as const;

/** One thread's view of it. */
export class CopyWork {
  /** To make another view of the same from. */
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #slots: Buffer;
  readonly #own: CopyItem[] = [];

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(HEADER_BYTES + SLOTS * SLOT_BYTES)) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#slots = Buffer.from(memory, HEADER_BYTES);
  }

  /** Comes as the second thread. False when there is nothing to come for any more. */
  join(): boolean {
    return this.#locked(() => {
      if (this.#words[WORD.closed] === 1) return false;
      this.#words[WORD.joined] = 1;
      return true;
    });
  }

  /** Whether the second thread has come; for good, once the work is closed. */
  get joined(): boolean {
    return Atomics.load(this.#words, WORD.joined) === 1;
  }

  /** Adds an entry, for whoever comes first. */
  add(item: CopyItem): void {
    const shared = this.#locked(() => {
      const index = this.#words[WORD.waiting] ?? 0;
      this.#words[WORD.left] = (this.#words[WORD.left] ?? 0) + 1;
      // No file has a name that is longer.
      if (index === SLOTS || item.path.length > NAME_BYTES) return false;
      const at = index * SLOT_BYTES;
      this.#slots.writeUInt16LE(item.path.length, at);
      this.#slots.writeUInt8(KINDS.indexOf(item.kind), at + 2);
      this.#slots.write(item.path, at + 4, 'latin1');
      this.#words[WORD.waiting] = index + 1;
      return true;
    });
    if (shared) this.#tell();
    else this.#own.push(item);
  }

  /**
   * An entry to copy, to be followed by {@link done}; `wait` when there is none now and {@link changed} says when to
   * ask again; undefined when all is copied or {@link close} was called.
   */
  take(): CopyItem | 'wait' | undefined {
    if (Atomics.load(this.#words, WORD.closed) === 1) return undefined;
    const own = this.#own.pop();
    if (own !== undefined) return own;
    return this.#locked(() => {
      const waiting = this.#words[WORD.waiting] ?? 0;
      if (waiting === 0) return this.#words[WORD.left] === 0 ? undefined : 'wait';
      this.#words[WORD.waiting] = waiting - 1;
      const at = (waiting - 1) * SLOT_BYTES;
      const start = at + 4;
      return {
        kind: KINDS[this.#slots.readUInt8(at + 2)] ?? 'directory',
        path: this.#slots.toString('latin1', start, start + this.#slots.readUInt16LE(at)),
      };
    });
  }

  /** The entry that was taken is copied, and what it holds was added. */
  done(): void {
    const left = this.#locked(() => (this.#words[WORD.left] = (this.#words[WORD.left] ?? 0) - 1));
    if (left === 0) this.#tell();
  }

  /** Ends the work for all, done or not. */
  close(): void {
    this.#locked(() => (this.#words[WORD.closed] = 1));
    this.#tell();
  }

  /** How often something has changed; ask before {@link take}. */
  get changes(): number {
    return Atomics.load(this.#words, WORD.changes);
  }

  /** Waits for a change since `changes`. */
  async changed(changes: number): Promise<void> {
    await Atomics.waitAsync(this.#words, WORD.changes, changes).value;
  }

  /** {@link changed}, for a thread that has nothing else to do. */
  waitForChange(changes: number): void {
    Atomics.wait(this.#words, WORD.changes, changes);
  }

  #tell(): void {
    Atomics.add(this.#words, WORD.changes, 1);
    Atomics.notify(this.#words, WORD.changes);
  }

  // For less than a microsecond each, so whoever meets the other one just tries again.
  #locked<Result>(change: () => Result): Result {
    while (Atomics.compareExchange(this.#words, WORD.lock, 0, 1) !== 0)
      Atomics.wait(this.#words, WORD.lock, 1, 1);
    try {
      return change();
    } finally {
      Atomics.store(this.#words, WORD.lock, 0);
      Atomics.notify(this.#words, WORD.lock, 1);
    }
  }
}
