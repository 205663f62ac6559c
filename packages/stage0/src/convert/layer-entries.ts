// The entries of one layer and the contents of its files, as conversion needs them: contents go to a scratch file one
// behind the other, everything else stays in memory. Runs in stage0.

import { type BytePath, readable } from '../unpack/byte-path.ts';
import { cleanEntryName, cleanLinkName } from '../unpack/entry-policy.ts';
import { exceed, refuse } from '../unpack/errors.ts';
import { writeFully } from '../unpack/file-content.ts';
import type { ArchiveLimits } from '../unpack/limits.ts';
import type { EntrySink, TarEntry } from '../unpack/tar-entry.ts';

/** One entry of a layer. */
export interface LayerEntry {
  /** Relative to the root of the image; empty for the root itself. */
  readonly path: BytePath;
  readonly entry: TarEntry;
  /** The path a hard link names, empty for everything else. */
  readonly target: BytePath;
  /** Where the stored bytes of the file begin in the layer's contents. */
  readonly offset: number;
  /** How many there are: fewer than the size of a sparse file. */
  readonly storedBytes: number;
}

/** What a layer holds. */
export interface UnpackedLayer {
  /** `sha256:...` of the layer as stored, for messages. */
  readonly digest: string;
  readonly entries: readonly LayerEntry[];
  /** The file of contents. */
  readonly contents: string;
}

const BUFFER_BYTES = 1024 * 1024;
const NO_NAME = Buffer.alloc(0);

/** An {@link EntrySink} that collects entries and writes contents to the open file `fd`. */
export class LayerCollector implements EntrySink {
  readonly entries: LayerEntry[] = [];
  readonly #fd: number;
  readonly #limits: ArchiveLimits;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;
  #written = 0;
  #fileBytes = 0;
  #started = 0;

  constructor(fd: number, limits: ArchiveLimits) {
    this.#fd = fd;
    this.#limits = limits;
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
    this.#started = this.#written + this.#filled;
    // The name has become the path: one copy in memory is enough.
    const kept = { ...entry, name: NO_NAME };
    this.entries.push({ path, entry: kept, target, offset: this.#started, storedBytes: 0 });
  }

  data(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === BUFFER_BYTES) this.#flush();
      const length = bytes.copy(this.#buffer, this.#filled, at);
      this.#filled += length;
      at += length;
    }
  }

  endEntry(): void {
    const storedBytes = this.#written + this.#filled - this.#started;
    const last = this.entries.at(-1);
    if (storedBytes > 0 && last !== undefined)
      this.entries[this.entries.length - 1] = { ...last, storedBytes };
  }

  /** All entries were read. */
  finish(): void {
    this.#flush();
  }

  #flush(): void {
    writeFully(this.#fd, this.#buffer.subarray(0, this.#filled), this.#written);
    this.#written += this.#filled;
    this.#filled = 0;
  }
}

// Tools that make layers write absolute names now and then; all of docker's world takes them as relative to the root.
function withoutRoot(name: Buffer): Buffer {
  let start = 0;
  while (start < name.length - 1 && name[start] === 0x2f) start += 1;
  return name.length === 1 && name[0] === 0x2f ? Buffer.from('.') : name.subarray(start);
}
