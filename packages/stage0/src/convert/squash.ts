// Feeds what is left of several layers to whoever takes the files of an image, the top layer first, so that each
// layer's contents are read from beginning to end (contract stage0 5.5). Runs in stage0.

import { closeSync, rmSync } from 'node:fs';

import type { RootfsSink } from '../unpack/aci-reader.ts';
import type { BytePath } from '../unpack/byte-path.ts';
import type { UnpackedLayer } from './layer-entries.ts';
import { type Inode, type MergedEntry, MergedTree } from './merged-tree.ts';
import { openArchive, readContents } from './receive-layer.ts';

const BUFFER_BYTES = 1024 * 1024;

/** Several layers, merged. */
export interface MergedLayers {
  readonly entries: readonly MergedEntry[];
  /** Files of their uncompressed archives, base first. */
  readonly archives: readonly string[];
}

/** The files that are left when `layers` (base first) are applied one after the other. @throws UnpackError */
export function mergeLayers(layers: readonly UnpackedLayer[]): MergedLayers {
  const tree = new MergedTree();
  for (const { entries } of layers) tree.apply(entries);
  return { entries: tree.entries(), archives: layers.map(({ archive }) => archive) };
}

/** Hands the files of `merged` to `sink`, with their contents. The archives are deleted at the end. */
export function writeMerged({ entries, archives }: MergedLayers, sink: RootfsSink): void {
  using contents = new Contents(archives);
  const firstNames = new Map<Inode, BytePath>();
  for (const { path, inode } of entries) {
    const first = firstNames.get(inode);
    if (first !== undefined) {
      const { entry } = inode;
      sink.entry(path, { ...entry, type: 'hardlink', size: 0, xattrs: undefined, sparse: undefined }, first);
    } else {
      firstNames.set(inode, path);
      sink.entry(path, inode.entry, '');
      for (const bytes of contents.of(inode)) sink.data(bytes);
    }
    sink.endEntry();
  }
}

// Keeps the contents of one layer open. A name in an upper layer may stand for a file of a lower one.
class Contents implements Disposable {
  readonly #archives: readonly string[];
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #current: { readonly layer: number; readonly fd: number } | undefined;

  constructor(archives: readonly string[]) {
    this.#archives = archives;
  }

  *of(inode: Inode): Generator<Buffer, void, undefined> {
    if (inode.storedBytes === 0) return;
    yield* readContents(this.#open(inode.layer), inode, this.#buffer);
  }

  #open(layer: number): number {
    if (this.#current?.layer === layer) return this.#current.fd;
    this.#close();
    const fd = openArchive(this.#archives[layer] as string);
    this.#current = { layer, fd };
    return fd;
  }

  #close(): void {
    if (this.#current !== undefined) closeSync(this.#current.fd);
    this.#current = undefined;
  }

  [Symbol.dispose](): void {
    this.#close();
    for (const archive of this.#archives) rmSync(archive, { force: true });
  }
}
