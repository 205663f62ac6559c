// The content of one file on its way to disk: bytes in, holes kept, digest collected. Runs in stage0.

import { createHash, hash, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync } from 'node:fs';

import type { SparseSegment } from './sparse.ts';
import type { TarEntry } from './tar-entry.ts';
import { writeFully } from './write-fully.ts';

const DIGEST = 'sha256';
const ZEROS = Buffer.alloc(1024 * 1024);

/** An open file that receives the stored bytes of an entry. */
export class FileContent {
  readonly fd: number;
  readonly #size: number;
  readonly #withDigest: boolean;
  readonly #segments: readonly SparseSegment[] | undefined;
  #segment = 0;
  #inSegment = 0;
  #position = 0;
  #hash: Hash | undefined;
  #digest: string | undefined;
  #open = true;

  constructor(fd: number, { size, sparse }: TarEntry, withDigest: boolean) {
    this.fd = fd;
    this.#size = size;
    this.#segments = sparse?.segments;
    this.#withDigest = withDigest;
  }

  /** Writes the next stored bytes. */
  write(bytes: Buffer): void {
    if (this.#segments !== undefined) {
      this.#writeSparse(bytes);
      return;
    }
    writeFully(this.fd, bytes, this.#position);
    if (this.#withDigest) {
      // Most files come in one piece.
      if (this.#position === 0 && bytes.length === this.#size) this.#digest = hash(DIGEST, bytes, 'hex');
      else this.#update(bytes);
    }
    this.#position += bytes.length;
  }

  /** All bytes are there. Returns the digest of the content when it was asked for. */
  finish(): string | undefined {
    if (this.#segments !== undefined) {
      ftruncateSync(this.fd, this.#size);
      this.#skipTo(this.#size);
    }
    if (!this.#withDigest) return undefined;
    return this.#digest ?? this.#hash?.digest('hex') ?? hash(DIGEST, '', 'hex');
  }

  close(): void {
    if (this.#open) closeSync(this.fd);
    this.#open = false;
  }

  #writeSparse(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const segment = this.#segments?.[this.#segment];
      if (segment === undefined) return;
      const length = Math.min(segment.size - this.#inSegment, bytes.length - at);
      const part = bytes.subarray(at, at + length);
      this.#skipTo(segment.offset + this.#inSegment);
      writeFully(this.fd, part, this.#position);
      if (this.#withDigest) this.#update(part);
      this.#position += length;
      this.#inSegment += length;
      at += length;
      if (this.#inSegment === segment.size) {
        this.#segment += 1;
        this.#inSegment = 0;
      }
    }
  }

  #skipTo(position: number): void {
    for (; this.#position < position;) {
      const length = Math.min(position - this.#position, ZEROS.length);
      if (this.#withDigest) this.#update(ZEROS.subarray(0, length));
      else this.#position = position - length;
      this.#position += length;
    }
  }

  #update(bytes: Buffer): void {
    this.#hash ??= createHash(DIGEST);
    this.#hash.update(bytes);
  }
}
