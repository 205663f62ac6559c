// Feeds what is left of several layers to whoever takes the files of an image, the top layer first, so that each
// layer's contents are read from beginning to end (contract stage0 5.5). Runs in stage0.

import { closeSync, rmSync } from 'node:fs';

import type { RootfsSink } from '../unpack/aci-reader.ts';
import type { ArchiveLimits } from '../unpack/limits.ts';
import { type LayerEntry, madeEntry, type UnpackedLayer } from './layer-entries.ts';
import { LayerIndexReader } from './layer-index.ts';
import { type EntrySource, MergedTree } from './merged-tree.ts';
import { openArchive, readContents } from './receive-layer.ts';

const BUFFER_BYTES = 1024 * 1024;
const IMPLIED_DIRECTORY = madeEntry('directory', 0o755);

/** Several layers, merged. */
export interface MergedLayers {
  readonly tree: MergedTree;
  /** Base first. */
  readonly layers: readonly UnpackedLayer[];
}

/** The files that are left when `layers` (base first) are applied one after the other. @throws UnpackError */
export function mergeLayers(layers: readonly UnpackedLayer[], { maxEntries }: ArchiveLimits): MergedLayers {
  const read = ({ layer, position }: EntrySource): LayerEntry => {
    using index = new LayerIndexReader((layers[layer] as UnpackedLayer).index);
    return index.at(position);
  };
  const tree = new MergedTree({ read, maxEntries });
  for (const { index } of layers) {
    using entries = new LayerIndexReader(index);
    tree.apply(entries);
  }
  return { tree, layers };
}

/** Hands the files of `merged` to `sink`, with their contents. The files of the layers are deleted at the end. */
export function writeMerged({ tree, layers }: MergedLayers, sink: RootfsSink): void {
  using files = new LayerFiles(layers);
  for (const { path, source, firstName } of tree.entries()) {
    if (source === undefined) {
      sink.entry(path, IMPLIED_DIRECTORY, '');
    } else if (firstName !== undefined) {
      const { entry } = files.open(source.layer).index.at(source.position);
      const link = { type: 'hardlink', size: 0, xattrs: undefined, sparse: undefined } as const;
      sink.entry(path, { ...entry, ...link }, firstName);
    } else {
      const { index, archiveFd } = files.open(source.layer);
      const found = index.at(source.position);
      sink.entry(path, found.entry, '');
      for (const bytes of readContents(archiveFd, found, files.buffer)) sink.data(bytes);
    }
    sink.endEntry();
  }
}

interface OpenLayer {
  readonly layer: number;
  readonly index: LayerIndexReader;
  readonly archiveFd: number;
}

// Keeps the files of one layer open. A name in an upper layer may stand for a file of a lower one.
class LayerFiles implements Disposable {
  readonly buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #layers: readonly UnpackedLayer[];
  #current: OpenLayer | undefined;

  constructor(layers: readonly UnpackedLayer[]) {
    this.#layers = layers;
  }

  open(layer: number): OpenLayer {
    if (this.#current?.layer === layer) return this.#current;
    this.#close();
    const { archive, index } = this.#layers[layer] as UnpackedLayer;
    const archiveFd = openArchive(archive);
    try {
      this.#current = { layer, archiveFd, index: new LayerIndexReader(index) };
    } catch (error) {
      closeSync(archiveFd);
      throw error;
    }
    return this.#current;
  }

  #close(): void {
    if (this.#current === undefined) return;
    closeSync(this.#current.archiveFd);
    this.#current.index[Symbol.dispose]();
    this.#current = undefined;
  }

  [Symbol.dispose](): void {
    this.#close();
    for (const { archive, index } of this.#layers) {
      rmSync(archive, { force: true });
      rmSync(index, { force: true });
    }
  }
}
