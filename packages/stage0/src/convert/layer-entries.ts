// The entries of one layer as conversion needs them: everything but the contents of files, and where those are in the
// uncompressed archive. Pure; runs in stage0.

import { type BytePath, readable } from '../unpack/byte-path.ts';
import { cleanEntryName, cleanLinkName } from '../unpack/entry-policy.ts';
import { exceed, refuse } from '../unpack/errors.ts';
import type { ArchiveLimits } from '../unpack/limits.ts';
import type { EntrySink, TarEntry } from '../unpack/tar-entry.ts';

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
  readonly entries: readonly LayerEntry[];
  /** The file of the uncompressed archive. */
  readonly archive: string;
}

const NO_NAME = Buffer.alloc(0);

/** An {@link EntrySink} that collects entries; it is told of each piece of the archive before the reader is. */
export class LayerCollector implements EntrySink {
  readonly entries: LayerEntry[] = [];
  readonly #limits: ArchiveLimits;
  // Of the current piece: where it is in memory, where in the archive, and where the next one will be. Its memory may be
  // gone when the next one comes.
  #byteOffset = 0;
  #position = 0;
  #next = 0;
  #fileBytes = 0;
  #offset = 0;
  #stored = 0;

  constructor(limits: ArchiveLimits) {
    this.#limits = limits;
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
    // The name has become the path, and small buffers keep the large ones alive that they were cut from.
    const linkName = entry.type === 'symlink' ? copyOf(entry.linkName) : NO_NAME;
    const kept = { ...entry, name: NO_NAME, linkName };
    this.entries.push({ path, entry: kept, target, offset: 0, storedBytes: 0 });
  }

  // What comes is a part of the piece, and all of a file lies together.
  data(bytes: Buffer): void {
    if (this.#stored === 0) this.#offset = this.#position + bytes.byteOffset - this.#byteOffset;
    this.#stored += bytes.length;
  }

  endEntry(): void {
    const last = this.entries.at(-1);
    if (this.#stored === 0 || last === undefined) return;
    this.entries[this.entries.length - 1] = { ...last, offset: this.#offset, storedBytes: this.#stored };
  }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

// Tools that make layers write absolute names now and then; all of docker's world takes them as relative to the root.
function withoutRoot(name: Buffer): Buffer {
  let start = 0;
  while (start < name.length - 1 && name[start] === 0x2f) start += 1;
  return name.length === 1 && name[0] === 0x2f ? Buffer.from('.') : name.subarray(start);
}
