// Which names lie in which directory, in less than a hundred bytes for each: an image may have a million. Pure; runs in
// stage0.
//
// A path is a number. It is not given away when the path is removed: the same name may come again in a later layer.

import type { BytePath } from '../unpack/byte-path.ts';
import { PagedNames, PagedNumbers } from './paged.ts';

/** No path. */
export const NO_PATH = 0;
/** The root, which has no name. */
export const ROOT_PATH = 1;

const FIRST_SLOTS = 1 << 12;

/** A tree of names. */
export class PathTable {
  #last = ROOT_PATH;
  readonly #parent = new PagedNumbers(Uint32Array);
  readonly #linked = new PagedNumbers(Uint8Array);
  readonly #firstChild = new PagedNumbers(Uint32Array);
  readonly #next = new PagedNumbers(Uint32Array);
  readonly #previous = new PagedNumbers(Uint32Array);
  readonly #hash = new PagedNumbers(Uint32Array);
  readonly #nameAt = new PagedNumbers(Uint32Array);
  readonly #names = new PagedNames();
  // Paths by the hash of their directory and name; at most half of the slots are taken.
  #slots = new Uint32Array(FIRST_SLOTS);

  /** How many paths there ever were; the highest of them. */
  get last(): number {
    return this.#last;
  }

  /** The path of `name` in `directory`, or {@link NO_PATH}. */
  find(directory: number, name: BytePath): number {
    const path = this.#slots[this.#slotOf(directory, name, hashOf(directory, name))] as number;
    return this.#linked.get(path) === 0 ? NO_PATH : path;
  }

  /** The path of `name` in `directory`, which is there from now on. */
  link(directory: number, name: BytePath): number {
    const path = this.#number(directory, name);
    if (this.#linked.get(path) === 1) return path;
    const next = this.#firstChild.get(directory);
    this.#linked.set(path, 1);
    this.#previous.set(path, NO_PATH);
    this.#next.set(path, next);
    if (next !== NO_PATH) this.#previous.set(next, path);
    this.#firstChild.set(directory, path);
    return path;
  }

  /** Removes a path from its directory, and everything below it. */
  unlink(path: number): void {
    this.empty(path);
    const next = this.#next.get(path);
    const previous = this.#previous.get(path);
    if (previous === NO_PATH) this.#firstChild.set(this.#parent.get(path), next);
    else this.#next.set(previous, next);
    if (next !== NO_PATH) this.#previous.set(next, previous);
    this.#linked.set(path, 0);
  }

  /** Removes everything below a path. */
  empty(path: number): void {
    // Not by recursion: through links of an image, trees can be deeper than any path is long.
    const doomed = [path];
    for (let at = doomed.pop(); at !== undefined; at = doomed.pop()) {
      for (const child of this.children(at)) {
        this.#linked.set(child, 0);
        doomed.push(child);
      }
      this.#firstChild.set(at, NO_PATH);
    }
  }

  /** What is in a directory, in no order. The one that was given last may be removed meanwhile. */
  *children(path: number): Generator<number, void, undefined> {
    for (let child = this.#firstChild.get(path); child !== NO_PATH;) {
      const next = this.#next.get(child);
      yield child;
      child = next;
    }
  }

  parent(path: number): number {
    return this.#parent.get(path);
  }

  /** Relative to the root. */
  name(path: number): BytePath {
    const names: BytePath[] = [];
    for (let at = path; at !== ROOT_PATH; at = this.#parent.get(at))
      names.push(this.#names.get(this.#nameAt.get(at)));
    return names.reverse().join('/');
  }

  #number(directory: number, name: BytePath): number {
    const hash = hashOf(directory, name);
    const slot = this.#slotOf(directory, name, hash);
    const known = this.#slots[slot] as number;
    if (known !== NO_PATH) return known;
    const path = this.#last + 1;
    this.#last = path;
    this.#parent.set(path, directory);
    this.#hash.set(path, hash);
    this.#nameAt.set(path, this.#names.add(name));
    this.#slots[slot] = path;
    if (path * 2 > this.#slots.length) this.#growSlots();
    return path;
  }

  // Where it is, or where it would be.
  #slotOf(directory: number, name: BytePath, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const path = this.#slots[slot] as number;
      if (path === NO_PATH) return slot;
      const isIt =
        this.#hash.get(path) === hash &&
        this.#parent.get(path) === directory &&
        this.#names.is(this.#nameAt.get(path), name);
      if (isIt) return slot;
    }
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    const mask = this.#slots.length - 1;
    for (let path = ROOT_PATH + 1; path <= this.#last; path += 1) {
      let slot = this.#hash.get(path) & mask;
      while (this.#slots[slot] !== NO_PATH) slot = (slot + 1) & mask;
      this.#slots[slot] = path;
    }
  }
}

// New for each process: an image cannot be made of names that collide in all of them.
const SEED = Math.floor(Math.random() * 0x1_0000_0000);

// FNV-1a, with the bits mixed at the end (as MurmurHash3 does it).
function hashOf(directory: number, name: BytePath): number {
  let hash = SEED ^ Math.imul(directory, 0x9e37_79b1);
  for (let index = 0; index < name.length; index += 1)
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
