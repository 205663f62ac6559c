// One entry of an archive with everything its headers say about it. Types only; runs in stage0.

import type { SparseMap } from './sparse.ts';

export type EntryType = 'file' | 'directory' | 'hardlink' | 'symlink' | 'char' | 'block' | 'fifo';

/** An entry as the archive states it: names are bytes, nothing has been judged yet. */
export interface TarEntry {
  readonly type: EntryType;
  readonly name: Buffer;
  /** Target of a link. */
  readonly linkName: Buffer;
  /** The twelve permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file once written; 0 for everything else. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint | undefined;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Extended attributes by name. */
  readonly xattrs: ReadonlyMap<string, Buffer> | undefined;
  readonly sparse: SparseMap | undefined;
}

/** Receives an archive, entry by entry. All calls are synchronous. */
export interface EntrySink {
  entry(entry: TarEntry): void;
  /** The next stored bytes of the current file. The buffer is only valid during the call. */
  data(bytes: Buffer): void;
  /** The current entry is complete. */
  endEntry(): void;
}
