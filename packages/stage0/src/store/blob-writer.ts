// Takes the uncompressed bytes of an image: writes them to a file and hashes them. Large images do both in a thread of
// their own, while the caller unpacks. Runs in stage0.

import { createHash, type Hash } from 'node:crypto';

import { errnoNumber, KernelError } from '@rkt/linux/errno';

import { writeFully } from '../unpack/write-fully.ts';
import { StoreError } from './errors.ts';
import { CONTROL, CONTROL_BYTES, MESSAGE_BYTES, SLOT_BYTES, SLOTS, WORKER_SOURCE } from './blob-worker.ts';

/** Where the bytes of an image go. */
export interface BlobWriter {
  /** Takes bytes; the buffer may be used again at once. */
  write(bytes: Buffer): void;
  /** All bytes are written. Returns their digest in hex. */
  finish(): string;
  /** Stops early. */
  abort(): void;
  readonly bytesWritten: number;
}

// Below this a thread costs more than it saves.
const THREAD_FROM_BYTES = 4 * 1024 * 1024;

/** What a {@link BlobWriter} tells of the bytes. */
export type BlobDigest = 'sha512' | 'sha256';

/** A writer into the open file `fd` called `name`; `expectedBytes` is a guess at how much will come. */
export function blobWriter(
  fd: number,
  name: string,
  expectedBytes: number,
  digest: BlobDigest = 'sha512',
): BlobWriter {
  return expectedBytes < THREAD_FROM_BYTES
    ? new DirectBlobWriter(fd, digest)
    : new ThreadedBlobWriter(fd, name, digest);
}

class DirectBlobWriter implements BlobWriter {
  readonly #fd: number;
  readonly #hash: Hash;
  bytesWritten = 0;

  constructor(fd: number, digest: BlobDigest) {
    this.#hash = createHash(digest);
    this.#fd = fd;
  }

  write(bytes: Buffer): void {
    writeFully(this.#fd, bytes, this.bytesWritten);
    this.#hash.update(bytes);
    this.bytesWritten += bytes.length;
  }

  finish(): string {
    return this.#hash.digest('hex');
  }

  abort(): void {}
}

// The thread reads a ring of slots in shared memory. Both sides sleep in Atomics.wait, so nothing here needs the
// event loop, which the caller blocks while it unpacks.
class ThreadedBlobWriter implements BlobWriter {
  readonly #name: string;
  readonly #control: Int32Array;
  readonly #message: Buffer;
  readonly #slots: Buffer;
  #written = 0;
  bytesWritten = 0;

  constructor(fd: number, name: string, algorithm: BlobDigest) {
    this.#name = name;
    const shared = new SharedArrayBuffer(CONTROL_BYTES + MESSAGE_BYTES + SLOTS * SLOT_BYTES);
    this.#control = new Int32Array(shared, 0, CONTROL_BYTES / 4);
    this.#message = Buffer.from(shared, CONTROL_BYTES, MESSAGE_BYTES);
    this.#slots = Buffer.from(shared, CONTROL_BYTES + MESSAGE_BYTES);
    const { Worker } = process.getBuiltinModule('node:worker_threads');
    const worker = new Worker(WORKER_SOURCE, {
      eval: true,
      workerData: { shared, fd, algorithm },
      execArgv: [],
      env: {},
    });
    worker.on('error', () => undefined);
    worker.unref();
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      const length = Math.min(SLOT_BYTES, bytes.length - at);
      this.#awaitRoom();
      bytes.copy(this.#slots, (this.#written % SLOTS) * SLOT_BYTES, at, at + length);
      this.#publish(length);
    }
    this.bytesWritten += bytes.length;
  }

  finish(): string {
    this.#awaitRoom();
    this.#publish(0);
    this.#awaitDone();
    this.#check();
    return this.#messageText();
  }

  // Waits for the thread: afterwards the descriptor may be closed, and its number may be another file's.
  abort(): void {
    Atomics.store(this.#control, CONTROL.aborted, 1);
    Atomics.add(this.#control, CONTROL.written, 1);
    Atomics.notify(this.#control, CONTROL.written);
    this.#awaitDone();
  }

  #awaitDone(): void {
    while (Atomics.load(this.#control, CONTROL.done) === 0) this.#sleep(CONTROL.done, 0);
  }

  #publish(length: number): void {
    this.#control[CONTROL.lengths + (this.#written % SLOTS)] = length;
    this.#written += 1;
    Atomics.store(this.#control, CONTROL.written, this.#written);
    Atomics.notify(this.#control, CONTROL.written);
  }

  #awaitRoom(): void {
    for (;;) {
      this.#check();
      const consumed = Atomics.load(this.#control, CONTROL.consumed);
      if (this.#written - consumed < SLOTS) return;
      this.#sleep(CONTROL.consumed, consumed);
    }
  }

  #sleep(index: number, value: number): void {
    const outcome = Atomics.wait(this.#control, index, value, STALL_MS);
    if (outcome === 'timed-out') throw new StoreError('storage', `writing ${this.#name} takes too long`);
  }

  #messageText(): string {
    const end = this.#message.indexOf(0);
    return this.#message.toString('utf8', 0, end === -1 ? undefined : end);
  }

  #check(): void {
    if (Atomics.load(this.#control, CONTROL.failed) === 0) return;
    const text = this.#messageText();
    const errno = errnoNumber(text.slice(0, text.indexOf(' ')));
    if (errno > 0) throw new KernelError('write', errno, { path: this.#name });
    throw new StoreError('storage', `cannot write ${this.#name}: ${text}`);
  }
}

// A disk that takes no megabyte in this time is as good as dead.
const STALL_MS = 10 * 60_000;
