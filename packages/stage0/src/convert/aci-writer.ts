// Writes an image archive of files that come one by one, and hands the same files to a tree that is being made. The
// same files give the same bytes. Runs in stage0.

import { encodeHeaders, type EntryType as HeaderType, padding } from '../export/tar-headers.ts';
import type { BlobWriter } from '../store/blob-writer.ts';
import type { RootfsSink } from '../unpack/aci-reader.ts';
import { type BytePath, pathBytes } from '../unpack/byte-path.ts';
import type { EntryType, TarEntry } from '../unpack/tar-entry.ts';
import { BLOCK_BYTES } from '../unpack/tar-header.ts';
import { madeEntry } from './layer-entries.ts';

const BUFFER_BYTES = 1024 * 1024;
const FILE_MODE = 0o644;
const ROOT_MODE = 0o755;

const HEADER_TYPES: Readonly<Record<EntryType, HeaderType>> = {
  file: 'File',
  directory: 'Directory',
  hardlink: 'Link',
  symlink: 'SymbolicLink',
  char: 'CharacterDevice',
  block: 'BlockDevice',
  fifo: 'FIFO',
};

/** A {@link RootfsSink} that makes an image of what it gets: {@link begin}, entries, {@link end}. */
export class AciWriter implements RootfsSink {
  readonly #blob: BlobWriter;
  readonly #tree: RootfsSink | undefined;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;
  #fileBytes = 0;

  constructor(blob: BlobWriter, tree: RootfsSink | undefined) {
    this.#blob = blob;
    this.#tree = tree;
  }

  /** The manifest, and the root of the image: what layers say of it does not count. */
  begin(manifestText: string): void {
    const text = Buffer.from(manifestText);
    this.#append(
      encodeHeaders({
        name: Buffer.from('manifest'),
        type: 'File',
        mode: FILE_MODE,
        uid: 0,
        gid: 0,
        sizeBytes: text.length,
        mtimeNs: 0n,
      }),
    );
    this.#append(text);
    this.#append(padding(text.length));
    this.entry('', ROOT, '');
    this.endEntry();
  }

  wants(path: BytePath): boolean {
    return path !== '';
  }

  entry(path: BytePath, entry: TarEntry, target: BytePath): void {
    const isDirectory = entry.type === 'directory';
    const isDevice = entry.type === 'char' || entry.type === 'block';
    const { sparse, xattrs } = entry;
    const sizeBytes = sparse?.segments.reduce((sum, { size }) => sum + size, 0) ?? entry.size;
    this.#append(
      encodeHeaders({
        name: pathBytes(`${path === '' ? 'rootfs' : `rootfs/${path}`}${isDirectory ? '/' : ''}`),
        type: HEADER_TYPES[entry.type],
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        sizeBytes,
        mtimeNs: entry.mtimeNs,
        ...(entry.type === 'symlink' && { linkName: entry.linkName }),
        ...(entry.type === 'hardlink' && { linkName: pathBytes(`rootfs/${target}`) }),
        ...(isDevice && { deviceMajor: entry.devMajor, deviceMinor: entry.devMinor }),
        ...(xattrs !== undefined && { xattrs: withoutOverlay(xattrs) }),
        ...(sparse !== undefined && { records: sparseRecords(sparse) }),
      }),
    );
    this.#fileBytes = 0;
    this.#tree?.entry(path, entry, target);
  }

  data(bytes: Buffer): void {
    this.#append(bytes);
    this.#fileBytes += bytes.length;
    this.#tree?.data(bytes);
  }

  endEntry(): void {
    this.#append(padding(this.#fileBytes));
    this.#fileBytes = 0;
    this.#tree?.endEntry();
  }

  /** The archive is complete. */
  end(): void {
    this.#append(Buffer.alloc(2 * BLOCK_BYTES));
    this.#flush();
  }

  // The blob takes what fits one of its slots: few large pieces.
  #append(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === BUFFER_BYTES) this.#flush();
      const length = bytes.copy(this.#buffer, this.#filled, at);
      this.#filled += length;
      at += length;
    }
  }

  #flush(): void {
    this.#blob.write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

const ROOT = madeEntry('directory', ROOT_MODE);

// By these overlayfs would take a file for its own bookkeeping.
function withoutOverlay(xattrs: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  return new Map([...xattrs].filter(([name]) => !/^(trusted|user)\.overlay\./.test(name)));
}

// GNU's pax form 0.1: the map is a record, the data are the parts.
function sparseRecords({ realSize, segments }: NonNullable<TarEntry['sparse']>): Map<string, string> {
  return new Map([
    ['GNU.sparse.size', String(realSize)],
    ['GNU.sparse.numblocks', String(segments.length)],
    ['GNU.sparse.map', segments.map(({ offset, size }) => `${offset},${size}`).join(',')],
  ]);
}
