// The file system that layers make, one applied on top of the other, in memory: what is left in the end, and from where
// (contract stage0 5.5, OCI image-spec layer.md). Pure; runs in stage0.
//
// Symbolic links are followed as a process would whose root the image is; nothing of the host is ever looked at. Of an
// entry only numbers are kept, and where it stands in the index of its layer.

import { baseOf, type BytePath, parentOf, readable } from '../unpack/byte-path.ts';
import { exceed, refuse } from '../unpack/errors.ts';
import { MAX_NAME_BYTES } from '../unpack/limits.ts';
import type { LayerEntry } from './layer-entries.ts';
import type { LayerIndex } from './layer-index.ts';
import { PagedNumbers } from './paged.ts';
import { NO_PATH, PathTable, ROOT_PATH } from './path-table.ts';
import { whiteoutOf } from './whiteout.ts';

/** Where an entry stands. */
export interface EntrySource {
  /** Base 0. */
  readonly layer: number;
  /** In the index of the layer. */
  readonly position: number;
}

/** A file or directory of the merged tree. */
export interface MergedEntry {
  readonly path: BytePath;
  /** The entry that has its content. There is none for a directory that only the names of others imply. */
  readonly source: EntrySource | undefined;
  /** Of a further name of a file: the one that came first. */
  readonly firstName: BytePath | undefined;
}

/** How a tree is merged. */
export interface MergeOptions {
  /** Reads an entry of a layer that was applied. */
  readonly read: (source: EntrySource) => LayerEntry;
  /** Files and directories there may be, those included that only names imply. */
  readonly maxEntries: number;
}

const MAX_LINKS = 255;
const MAX_KEPT_TARGETS = 1000;
// The root, /dev and four links in it, which every image has.
const OWN_PATHS = 6;

/** Takes layers, base first. */
export class MergedTree {
  readonly #options: MergeOptions;
  readonly #paths = new PathTable();
  // By path: its file, the entry that gave the file this name, and the last layer that put it, or something below it,
  // here.
  readonly #file = new PagedNumbers(Uint32Array);
  readonly #layer = new PagedNumbers(Uint32Array);
  readonly #order = new PagedNumbers(Float64Array);
  readonly #touched = new PagedNumbers(Uint32Array);
  // By file, whatever its names. File 0 is every directory that only names imply.
  readonly #kind = new PagedNumbers(Uint8Array);
  readonly #source = new PagedNumbers(Uint32Array);
  readonly #position = new PagedNumbers(Float64Array);
  #files = IMPLIED_DIRECTORY;
  // Layers count from 1 here, so that 0 is none.
  #current = 0;
  /** Directories that lost what was below. */
  #cleared = new Set<number>();
  readonly #targets = new Map<number, BytePath>();

  constructor(options: MergeOptions) {
    this.#options = options;
    this.#kind.set(IMPLIED_DIRECTORY, KIND.directory);
  }

  /** Puts the next layer on top. @throws UnpackError `unsafe-entry`, `bad-archive`, `limit-exceeded` */
  apply(index: LayerIndex): void {
    this.#current += 1;
    this.#cleared = new Set();
    for (const [position, entry] of index.entries()) {
      const whiteout = whiteoutOf(entry.path);
      if (whiteout === undefined) this.#put(entry, position);
      else if (whiteout.kind === 'opaque') this.#clear(this.#find(whiteout.path)?.at(-1));
      else this.#remove(this.#find(parentOf(whiteout.path))?.at(-1), baseOf(whiteout.path));
    }
  }

  /** Everything below the root: files of the top layer first, and no entry before the directory it is in. */
  *entries(): Generator<MergedEntry, void, undefined> {
    const firstNames = new PagedNumbers(Uint32Array);
    for (const path of this.#parentsFirst(this.#sorted())) {
      const file = this.#file.get(path);
      const first = firstNames.get(file);
      if (first === NO_PATH) firstNames.set(file, path);
      const isFurther = first !== NO_PATH && this.#kind.get(file) !== KIND.directory;
      yield {
        path: this.#paths.name(path),
        source: file === IMPLIED_DIRECTORY ? undefined : this.#sourceOf(file),
        firstName: isFurther ? this.#paths.name(first) : undefined,
      };
    }
  }

  #sorted(): Uint32Array {
    const all = new Uint32Array(this.#paths.last);
    let count = 0;
    const stack = [ROOT_PATH];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      for (const child of this.#paths.children(at)) {
        all[count] = child;
        count += 1;
        if (this.#isDirectory(child)) stack.push(child);
      }
    }
    const layer = this.#layer;
    const order = this.#order;
    return all.subarray(0, count).sort((a, b) => layer.get(b) - layer.get(a) || order.get(a) - order.get(b));
  }

  *#parentsFirst(sorted: Uint32Array): Generator<number, void, undefined> {
    const given = new Uint8Array(this.#paths.last + 1);
    given[ROOT_PATH] = 1;
    for (const path of sorted) {
      const chain: number[] = [];
      for (let at = path; given[at] === 0; at = this.#paths.parent(at)) chain.push(at);
      for (const at of chain.reverse()) {
        given[at] = 1;
        yield at;
      }
    }
  }

  #put({ path, entry, target }: LayerEntry, position: number): void {
    // What a layer says of the root itself has no place in an image.
    if (path === '') {
      if (entry.type !== 'directory') refuse('unsafe-entry', 'the root of the image is not a directory');
      return;
    }
    const above = this.#findOrMake(parentOf(path), position);
    const directory = above.at(-1) as number;
    const name = baseOf(path);
    const file =
      entry.type === 'hardlink' ? this.#linked(path, target) : this.#newFile(kindOf(entry.type), position);
    const existing = this.#paths.find(directory, name);
    const keepsChildren = this.#kind.get(file) === KIND.directory;
    if (existing !== NO_PATH && !keepsChildren) this.#paths.empty(existing);
    this.#name(directory, name, file, position);
    for (const at of above) this.#touched.set(at, this.#current);
  }

  #newFile(kind: number, position: number): number {
    this.#files += 1;
    this.#kind.set(this.#files, kind);
    this.#source.set(this.#files, this.#current);
    this.#position.set(this.#files, position);
    return this.#files;
  }

  #name(directory: number, name: BytePath, file: number, order: number): number {
    const path = this.#paths.link(directory, name);
    const { maxEntries } = this.#options;
    if (this.#paths.last > maxEntries + OWN_PATHS)
      exceed('max-image-entries', `more than ${maxEntries} files and directories in the layers of the image`);
    this.#file.set(path, file);
    this.#layer.set(path, this.#current);
    this.#order.set(path, order);
    this.#touched.set(path, this.#current);
    return path;
  }

  #linked(path: BytePath, target: BytePath): number {
    const subject = `hard link ${readable(path)} to ${readable(target)}`;
    const directory = this.#find(parentOf(target))?.at(-1);
    const found = directory === undefined ? NO_PATH : this.#paths.find(directory, baseOf(target));
    if (found === NO_PATH) return refuse('bad-archive', `${subject}: no such entry before it`);
    if (this.#isDirectory(found)) refuse('unsafe-entry', `${subject}: target is a directory`);
    return this.#file.get(found);
  }

  // Whiteouts are about the layers below, wherever they stand among the entries of their own. Once a directory has lost
  // what was below, nothing of that can come back within the layer.
  #clear(directory: number | undefined): void {
    const stack = directory === undefined ? [] : [directory];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (this.#cleared.has(at)) continue;
      this.#cleared.add(at);
      for (const child of this.#paths.children(at)) {
        if (this.#touched.get(child) === this.#current) stack.push(child);
        else this.#paths.unlink(child);
      }
    }
  }

  #remove(directory: number | undefined, name: BytePath): void {
    const path = directory === undefined ? NO_PATH : this.#paths.find(directory, name);
    if (path === NO_PATH) return;
    if (this.#touched.get(path) === this.#current) this.#clear(path);
    else this.#paths.unlink(path);
  }

  // The directory at `path` behind those above it, the root first; undefined when there is none.
  #find(path: BytePath): number[] | undefined {
    const { found, missing } = this.#walk(path);
    return missing.length === 0 && this.#isDirectory(found.at(-1) as number) ? found : undefined;
  }

  #findOrMake(path: BytePath, order: number): number[] {
    const { found, missing } = this.#walk(path);
    if (!this.#isDirectory(found.at(-1) as number))
      refuse('unsafe-entry', `${readable(path)} is needed as a directory but is none`);
    for (const name of missing) {
      // A link may lead to a name that no entry could have.
      if (name.length > MAX_NAME_BYTES) refuse('unsafe-entry', `${readable(path)}: file name too long`);
      found.push(this.#name(found.at(-1) as number, name, IMPLIED_DIRECTORY, order));
    }
    return found;
  }

  #walk(path: BytePath): { found: number[]; missing: BytePath[] } {
    const found = [ROOT_PATH];
    const missing: BytePath[] = [];
    const names = path.split('/').reverse();
    let links = 0;
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (missing.length > 0) missing.pop();
        else if (found.length > 1) found.pop();
        continue;
      }
      const at = missing.length > 0 ? NO_PATH : this.#paths.find(found.at(-1) as number, name);
      if (at === NO_PATH) {
        // Below a file there is nothing, and nothing can be made.
        if (!this.#isDirectory(found.at(-1) as number)) return { found, missing };
        missing.push(name);
      } else if (this.#kind.get(this.#file.get(at)) === KIND.symlink) {
        links += 1;
        if (links > MAX_LINKS) refuse('unsafe-entry', `${readable(path)}: too many symbolic links`);
        const target = this.#targetOf(this.#file.get(at));
        if (target.startsWith('/')) found.length = 1;
        names.push(...target.split('/').reverse());
      } else {
        found.push(at);
      }
    }
    return { found, missing };
  }

  // Layers write through the same few links again and again.
  #targetOf(symlink: number): BytePath {
    const known = this.#targets.get(symlink);
    if (known !== undefined) return known;
    const target = this.#options.read(this.#sourceOf(symlink)).entry.linkName.toString('latin1');
    if (this.#targets.size >= MAX_KEPT_TARGETS) this.#targets.clear();
    this.#targets.set(symlink, target);
    return target;
  }

  #sourceOf(file: number): EntrySource {
    return { layer: this.#source.get(file) - 1, position: this.#position.get(file) };
  }

  #isDirectory(path: number): boolean {
    return this.#kind.get(this.#file.get(path)) === KIND.directory;
  }
}

const IMPLIED_DIRECTORY = 0;
const KIND = { other: 0, directory: 1, symlink: 2 } as const;

function kindOf(type: LayerEntry['entry']['type']): number {
  if (type === 'directory') return KIND.directory;
  return type === 'symlink' ? KIND.symlink : KIND.other;
}
