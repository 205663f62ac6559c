// The entries of one layer in a file of their own, one record after the other, so that memory does not grow with their
// number. Runs in stage0.

import { closeSync, openSync, readSync } from 'node:fs';

import { withKernelErrors } from '@rkt/linux/errno';

import { refuse } from '../unpack/errors.ts';
import type { EntryType, TarEntry } from '../unpack/tar-entry.ts';
import { writeFully } from '../unpack/write-fully.ts';
import type { LayerEntry } from './layer-entries.ts';

/** A layer's entries, in the order of its archive. */
export interface LayerIndex {
  /** Every entry with the position by which {@link at} finds it; positions grow. */
  entries(): Iterable<readonly [position: number, entry: LayerEntry]>;
  at(position: number): LayerEntry;
}

const BUFFER_BYTES = 256 * 1024;
const WINDOW_BYTES = 64 * 1024;
const LENGTH_BYTES = 4;

/** Writes an index into an open, empty file. */
export class LayerIndexWriter {
  readonly #fd: number;
  readonly #file: string;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;
  #flushed = 0;

  constructor(fd: number, file: string) {
    this.#fd = fd;
    this.#file = file;
  }

  /** @throws KernelError */
  add(entry: LayerEntry): void {
    const text = encode(entry);
    // No character takes more than three bytes.
    const most = LENGTH_BYTES + 3 * text.length;
    if (this.#filled + most > BUFFER_BYTES) this.finish();
    const target = most > BUFFER_BYTES ? Buffer.allocUnsafeSlow(most) : this.#buffer;
    const start = target === this.#buffer ? this.#filled : 0;
    const length = target.write(text, start + LENGTH_BYTES);
    target.writeUInt32LE(length, start);
    if (target === this.#buffer) this.#filled += LENGTH_BYTES + length;
    else this.#write(target.subarray(0, LENGTH_BYTES + length));
  }

  /** Everything that was added is in the file. @throws KernelError */
  finish(): void {
    this.#write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #write(bytes: Buffer): void {
    withKernelErrors(this.#file, () => writeFully(this.#fd, bytes, this.#flushed));
    this.#flushed += bytes.length;
  }
}

/** Reads an index; positions that grow cost no more than reading the file once. */
export class LayerIndexReader implements LayerIndex, Disposable {
  readonly #fd: number;
  readonly #file: string;
  // A part of the file.
  #window = Buffer.alloc(0);
  #start = 0;
  #length = 0;

  /** @throws KernelError */
  constructor(file: string) {
    this.#file = file;
    this.#fd = withKernelErrors(file, () => openSync(file, 'r'));
  }

  *entries(): Generator<readonly [position: number, entry: LayerEntry], void, undefined> {
    for (let position = 0; this.#load(position, LENGTH_BYTES);) {
      const length = this.#lengthAt(position);
      yield [position, this.at(position)];
      position += LENGTH_BYTES + length;
    }
  }

  at(position: number): LayerEntry {
    const length = this.#load(position, LENGTH_BYTES) ? this.#lengthAt(position) : 0;
    if (length === 0 || !this.#load(position, LENGTH_BYTES + length))
      return refuse('bad-archive', `the scratch file ${this.#file} is cut`);
    const from = position - this.#start + LENGTH_BYTES;
    return decode(this.#window.toString('utf8', from, from + length));
  }

  #lengthAt(position: number): number {
    return this.#window.readUInt32LE(position - this.#start);
  }

  // Whether these bytes are there, and in the window then.
  #load(position: number, length: number): boolean {
    if (position >= this.#start && position + length <= this.#start + this.#length) return true;
    if (length > this.#window.length) this.#window = Buffer.allocUnsafeSlow(Math.max(length, WINDOW_BYTES));
    this.#start = position;
    this.#length = 0;
    for (let read = 1; read > 0 && this.#length < length; this.#length += read) {
      const at = position + this.#length;
      read = withKernelErrors(this.#file, () =>
        readSync(this.#fd, this.#window, this.#length, this.#window.length - this.#length, at),
      );
    }
    return this.#length >= length;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

type Stored = readonly [
  path: string,
  target: string,
  offset: number,
  storedBytes: number,
  type: EntryType,
  linkName: string,
  mode: number,
  uid: number,
  gid: number,
  size: number,
  mtimeNs: string,
  atimeNs: string | null,
  devMajor: number,
  devMinor: number,
  xattrs: readonly (readonly [name: string, value: string])[] | null,
  sparse: NonNullable<TarEntry['sparse']> | null,
];

function encode({ path, target, offset, storedBytes, entry }: LayerEntry): string {
  const { type, linkName, mode, uid, gid, size, mtimeNs, atimeNs, devMajor, devMinor, xattrs, sparse } =
    entry;
  const stored: Stored = [
    path,
    target,
    offset,
    storedBytes,
    type,
    linkName.toString('latin1'),
    mode,
    uid,
    gid,
    size,
    String(mtimeNs),
    atimeNs === undefined ? null : String(atimeNs),
    devMajor,
    devMinor,
    xattrs === undefined ? null : [...xattrs].map(([name, value]) => [name, value.toString('latin1')]),
    sparse ?? null,
  ];
  return JSON.stringify(stored);
}

const NO_NAME = Buffer.alloc(0);

function decode(text: string): LayerEntry {
  const stored = JSON.parse(text) as Stored;
  const [path, target, offset, storedBytes, type, linkName, ...numbers] = stored;
  const [mode, uid, gid, size, mtimeNs, atimeNs, devMajor, devMinor, xattrs, sparse] = numbers;
  const entry: TarEntry = {
    type,
    name: NO_NAME,
    linkName: linkName === '' ? NO_NAME : Buffer.from(linkName, 'latin1'),
    mode,
    uid,
    gid,
    size,
    mtimeNs: BigInt(mtimeNs),
    atimeNs: atimeNs === null ? undefined : BigInt(atimeNs),
    devMajor,
    devMinor,
    xattrs:
      xattrs === null
        ? undefined
        : new Map(xattrs.map(([name, value]) => [name, Buffer.from(value, 'latin1')])),
    sparse: sparse ?? undefined,
  };
  return { path, target, offset, storedBytes, entry };
}
