// Which files of each image make it into the tree: whitelists, and what images above provide already
// (contract stage0 7.6). Pure; runs in stage0.

import { inheritedWhitelist } from '@rkt/spec/dependency-order';

import { type BytePath, parentOf } from '../unpack/byte-path.ts';
import type { RootfsSink } from '../unpack/aci-reader.ts';
import type { TarEntry } from '../unpack/tar-entry.ts';
import type { Layer } from './dependencies.ts';

/** What the images so far provide: whether each path is a directory. */
export type ProvidedPaths = Map<BytePath, boolean>;

/** Lets through what the image at `position` adds to the tree, and notes it in `provided`. */
export class LayerFilter implements RootfsSink {
  readonly #target: RootfsSink;
  readonly #provided: ProvidedPaths;
  readonly #own: ReadonlySet<BytePath> | undefined;
  readonly #above: ReadonlySet<BytePath> | undefined;
  readonly #added = new Map<BytePath, boolean>();

  constructor(layers: readonly Layer[], position: number, provided: ProvidedPaths, target: RootfsSink) {
    this.#target = target;
    this.#provided = provided;
    const order = layers.map((image) => ({ image, level: image.level }));
    this.#own = pathSet(layers[position]?.manifest.pathWhitelist);
    this.#above = pathSet(inheritedWhitelist(order, position, ({ manifest }) => manifest.pathWhitelist));
  }

  wants(path: BytePath, entry: TarEntry): boolean {
    const isDirectory = entry.type === 'directory';
    if (path !== '') {
      if (!isDirectory && this.#own?.has(path) === false) return false;
      if (this.#above?.has(path) === false) return false;
      if (this.#provided.has(path) || this.#isBelowFile(path)) return false;
    } else if (this.#provided.has('')) {
      return false;
    }
    this.#added.set(path, isDirectory);
    return true;
  }

  entry(path: BytePath, entry: TarEntry, target: BytePath): void {
    this.#target.entry(path, entry, target);
  }

  data(bytes: Buffer): void {
    this.#target.data(bytes);
  }

  endEntry(): void {
    this.#target.endEntry();
  }

  /** The image is complete; what it added hides what comes below. */
  finish(): void {
    for (const [path, isDirectory] of this.#added) this.#provided.set(path, isDirectory);
  }

  #isBelowFile(path: BytePath): boolean {
    for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) {
      if (this.#provided.get(parent) === false) return true;
    }
    return false;
  }
}

// Whitelists have absolute paths that must match exactly once cleaned; bytes, as names in archives are.
function pathSet(whitelist: readonly string[] = []): ReadonlySet<BytePath> | undefined {
  if (whitelist.length === 0) return undefined;
  return new Set(whitelist.map((path) => Buffer.from(cleanAbsolute(path), 'utf8').toString('latin1')));
}

function cleanAbsolute(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.join('/');
}
