// The entries of one layer as conversion needs them: everything but the contents of files, and where those are in the
// uncompressed archive. Runs in stage0.

import { type BytePath, readable } from '../unpack/byte-path.ts';
import { cleanEntryName, cleanLinkName } from '../unpack/entry-policy.ts';
import { exceed, refuse } from '../unpack/errors.ts';
import type { ArchiveLimits } from '../unpack/limits.ts';
import type { EntrySink, EntryType, TarEntry } from '../unpack/tar-entry.ts';

/** One entry of a layer. */
export interface LayerEntry {
  /** Relative to the root of the image; empty for the root itself. */
  readonly path: BytePath;
  readonly entry: TarEntry;
  /** The path a hard link names, empty for everything else. */
  readonly target: BytePath;
  /** Where the stored bytes of the file begin in the archive. */
  readonly offset: number;
  /** How many there are: fewer than the size of a sparse file. */
  readonly storedBytes: number;
}

/** What a layer holds. */
export interface UnpackedLayer {
  /** How many entries its archive has. */
  readonly entries: number;
  /** The file of their {@link LayerIndexWriter index}. */
  readonly index: string;
  /** The file of the uncompressed archive. */
  readonly archive: string;
}

// Go rkt's links to what an app has for a terminal: every layer without one of these gets it.
const DEVICE_LINKS = [
  ['dev/stdin', '/proc/self/fd/0'],
  ['dev/stdout', '/dev/console'],
  ['dev/stderr', '/dev/console'],
  ['dev/fd', '/proc/self/fd'],
] as const;

/** An {@link EntrySink} that hands on entries; it is told of each piece of the archive before the reader is. */
export class LayerCollector implements EntrySink {
  /** How many entries the archive has so far. */
  count = 0;
  readonly #take: (entry: LayerEntry) => void;
  readonly #wantedLinks = new Map<BytePath, string>(DEVICE_LINKS);
  #entry: Omit<LayerEntry, 'offset' | 'storedBytes'> | undefined;
  readonly #limits: ArchiveLimits;
  // Of the current piece: where it is in memory, where in the archive, and where the next one will be. Its memory may be
  // gone when the next one comes.
  #byteOffset = 0;
  #position = 0;
  #next = 0;
  #fileBytes = 0;
  #offset = 0;
  #stored = 0;

  /** @param take Gets each entry once it is complete. */
  constructor(limits: ArchiveLimits, take: (entry: LayerEntry) => void) {
    this.#limits = limits;
    this.#take = take;
  }

  /** The reader gets `bytes` next. */
  piece(bytes: Buffer): void {
    this.#byteOffset = bytes.byteOffset;
    this.#position = this.#next;
    this.#next += bytes.length;
  }

  entry(entry: TarEntry): void {
    const path = cleanEntryName(withoutRoot(entry.name));
    const target = entry.type === 'hardlink' ? cleanLinkName(withoutRoot(entry.linkName), path) : '';
    this.#fileBytes += entry.size;
    if (this.#fileBytes > this.#limits.maxFileBytes)
      exceed('max-image-size', `files of more than ${this.#limits.maxFileBytes} bytes in the layer`);
    if (path === 'dev' && entry.type !== 'directory')
      refuse('unsafe-entry', 'invalid layer: "/dev" is not a directory');
    if (entry.type === 'symlink' && entry.linkName.length === 0)
      refuse('bad-archive', `symbolic link ${readable(path)} has no target`);
    this.#stored = 0;
    this.#entry = { path, entry, target };
  }

  // What comes is a part of the piece, and all of a file lies together.
  data(bytes: Buffer): void {
    if (this.#stored === 0) this.#offset = this.#position + bytes.byteOffset - this.#byteOffset;
    this.#stored += bytes.length;
  }

  endEntry(): void {
    if (this.#entry === undefined) return;
    this.count += 1;
    this.#wantedLinks.delete(this.#entry.path);
    const offset = this.#stored === 0 ? 0 : this.#offset;
    this.#take({ ...this.#entry, offset, storedBytes: this.#stored });
    this.#entry = undefined;
  }

  /** The archive is complete. */
  end(): void {
    for (const [path, target] of this.#wantedLinks) {
      const entry = madeEntry('symlink', 0o777, Buffer.from(target));
      this.#take({ path, entry, target: '', offset: 0, storedBytes: 0 });
    }
  }
}

/** What no entry of an archive names: owned by root, without a time. */
export function madeEntry(type: EntryType, mode: number, linkName: Buffer = Buffer.alloc(0)): TarEntry {
  return {
    type,
    name: Buffer.alloc(0),
    linkName,
    mode,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    atimeNs: undefined,
    devMajor: 0,
    devMinor: 0,
    xattrs: undefined,
    sparse: undefined,
  };
}

// Tools that make layers write absolute names now and then; all of docker's world takes them as relative to the root.
function withoutRoot(name: Buffer): Buffer {
  let start = 0;
  while (start < name.length - 1 && name[start] === 0x2f) start += 1;
  return name.length === 1 && name[0] === 0x2f ? Buffer.from('.') : name.subarray(start);
}
