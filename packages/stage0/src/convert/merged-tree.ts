// The file system that layers make, one applied on top of the other, in memory: what is left in the end, and from where
// (contract stage0 5.5, OCI image-spec layer.md). Pure; runs in stage0.
//
// Symbolic links are followed as a process would whose root the image is; nothing of the host is ever looked at.

import { baseOf, type BytePath, parentOf, readable } from '../unpack/byte-path.ts';
import { refuse } from '../unpack/errors.ts';
import type { TarEntry } from '../unpack/tar-entry.ts';
import type { LayerEntry } from './layer-entries.ts';
import { whiteoutOf } from './whiteout.ts';

/** A file, whatever its names. */
export interface Inode {
  readonly entry: TarEntry;
  /** The layer that has its content, base 0. */
  readonly layer: number;
  readonly offset: number;
  readonly storedBytes: number;
}

interface Node {
  inode: Inode;
  /** Where the entry that gave it this name stands. */
  layer: number;
  order: number;
  /** The last layer that put it, or something below it, here. */
  touched: number;
  /** Of directories. */
  readonly children: Map<BytePath, Node> | undefined;
}

/** A file or directory of the merged tree. */
export interface MergedEntry {
  readonly path: BytePath;
  readonly inode: Inode;
  readonly parent: MergedEntry | undefined;
  readonly layer: number;
  readonly order: number;
}

const MAX_LINKS = 255;
const IMPLIED_MODE = 0o755;

/** Takes layers, base first. */
export class MergedTree {
  readonly #root: Node = {
    inode: inodeOf(made('directory', IMPLIED_MODE), -1),
    ...place(-1, 0),
    children: new Map(),
  };
  #layer = -1;

  /** Puts the next layer on top. @throws UnpackError `unsafe-entry`, `bad-archive` */
  apply(entries: readonly LayerEntry[]): void {
    this.#layer += 1;
    for (const [order, entry] of entries.entries()) {
      const whiteout = whiteoutOf(entry.path);
      if (whiteout === undefined) this.#put(entry, order);
      else if (whiteout.kind === 'opaque') this.#clear(this.#find(whiteout.path)?.at(-1));
      else this.#remove(this.#find(parentOf(whiteout.path))?.at(-1), baseOf(whiteout.path));
    }
    this.#addDeviceLinks(entries);
  }

  /** Everything below the root: files of the top layer first, and no entry before the directory it is in. */
  entries(): MergedEntry[] {
    const all: MergedEntry[] = [];
    const stack: { node: Node; entry: MergedEntry | undefined }[] = [{ node: this.#root, entry: undefined }];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      for (const [name, child] of at.node.children ?? []) {
        const path = at.entry === undefined ? name : `${at.entry.path}/${name}`;
        const { inode, layer, order } = child;
        const entry: MergedEntry = { path, inode, parent: at.entry, layer, order };
        all.push(entry);
        if (child.children !== undefined) stack.push({ node: child, entry });
      }
    }
    return parentsFirst(
      all.sort((a, b) => b.layer - a.layer || a.order - b.order || (a.path < b.path ? -1 : 1)),
    );
  }

  #put({ path, entry, target, offset, storedBytes }: LayerEntry, order: number): void {
    // What a layer says of the root itself has no place in an image.
    if (path === '') {
      if (entry.type !== 'directory') refuse('unsafe-entry', 'the root of the image is not a directory');
      return;
    }
    const above = this.#findOrMake(parentOf(path), order);
    const parent = above.at(-1) as Node;
    const name = baseOf(path);
    const existing = parent.children?.get(name);
    const where = place(this.#layer, order);
    if (entry.type === 'hardlink') {
      const { inode } = this.#linked(path, target);
      if (existing?.inode === inode) Object.assign(existing, where);
      else parent.children?.set(name, { inode, ...where, children: undefined });
    } else {
      const inode = { entry, layer: this.#layer, offset, storedBytes };
      if (entry.type === 'directory' && existing?.children !== undefined) {
        Object.assign(existing, { inode, ...where });
      } else {
        const children = entry.type === 'directory' ? new Map<BytePath, Node>() : undefined;
        parent.children?.set(name, { inode, ...where, children });
      }
    }
    for (const node of above) node.touched = this.#layer;
  }

  #linked(path: BytePath, target: BytePath): Node {
    const subject = `hard link ${readable(path)} to ${readable(target)}`;
    const node = this.#find(parentOf(target))?.at(-1)?.children?.get(baseOf(target));
    if (node === undefined) return refuse('bad-archive', `${subject}: no such entry before it`);
    if (node.children !== undefined) refuse('unsafe-entry', `${subject}: target is a directory`);
    return node;
  }

  #clear(directory: Node | undefined): void {
    for (const name of directory?.children?.keys() ?? []) this.#remove(directory, name);
  }

  // Whiteouts are about the layers below, wherever they stand among the entries of their own.
  #remove(directory: Node | undefined, name: BytePath): void {
    const node = directory?.children?.get(name);
    if (node === undefined) return;
    if (node.touched !== this.#layer) directory?.children?.delete(name);
    else this.#clear(node);
  }

  // Go rkt's links to what an app has for a terminal.
  #addDeviceLinks(entries: readonly LayerEntry[]): void {
    const named = new Set(entries.map(({ path }) => path));
    for (const [index, [path, target]] of DEVICE_LINKS.entries()) {
      if (named.has(path)) continue;
      const entry = { ...made('symlink', 0o777), linkName: Buffer.from(target) };
      this.#put({ path, entry, target: '', offset: 0, storedBytes: 0 }, entries.length + index);
    }
  }

  // The directory at `path` behind those above it, the root first; undefined when there is none.
  #find(path: BytePath): Node[] | undefined {
    const { nodes, missing } = this.#walk(path);
    return missing.length === 0 && nodes.at(-1)?.children !== undefined ? nodes : undefined;
  }

  #findOrMake(path: BytePath, order: number): Node[] {
    const { nodes, missing } = this.#walk(path);
    if (nodes.at(-1)?.children === undefined)
      refuse('unsafe-entry', `${readable(path)} is needed as a directory but is none`);
    for (const name of missing) {
      const inode = inodeOf(made('directory', IMPLIED_MODE), this.#layer);
      const node: Node = { inode, ...place(this.#layer, order), children: new Map() };
      nodes.at(-1)?.children?.set(name, node);
      nodes.push(node);
    }
    return nodes;
  }

  #walk(path: BytePath): { nodes: Node[]; missing: BytePath[] } {
    const nodes = [this.#root];
    const missing: BytePath[] = [];
    const names = path.split('/').reverse();
    let links = 0;
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (missing.length > 0) missing.pop();
        else if (nodes.length > 1) nodes.pop();
        continue;
      }
      const node = missing.length > 0 ? undefined : nodes.at(-1)?.children?.get(name);
      if (node === undefined) {
        // Below a file there is nothing, and nothing can be made.
        if (nodes.at(-1)?.children === undefined) return { nodes, missing };
        missing.push(name);
      } else if (node.inode.entry.type === 'symlink') {
        links += 1;
        if (links > MAX_LINKS) refuse('unsafe-entry', `${readable(path)}: too many symbolic links`);
        const target = node.inode.entry.linkName.toString('latin1');
        if (target.startsWith('/')) nodes.length = 1;
        names.push(...target.split('/').reverse());
      } else {
        nodes.push(node);
      }
    }
    return { nodes, missing };
  }
}

const DEVICE_LINKS = [
  ['dev/stdin', '/proc/self/fd/0'],
  ['dev/stdout', '/dev/console'],
  ['dev/stderr', '/dev/console'],
  ['dev/fd', '/proc/self/fd'],
] as const;

function parentsFirst(sorted: readonly MergedEntry[]): MergedEntry[] {
  const result = new Set<MergedEntry>();
  const add = (entry: MergedEntry): void => {
    if (result.has(entry)) return;
    if (entry.parent !== undefined) add(entry.parent);
    result.add(entry);
  };
  for (const entry of sorted) add(entry);
  return [...result];
}

function place(layer: number, order: number): { layer: number; order: number; touched: number } {
  return { layer, order, touched: layer };
}

function inodeOf(entry: TarEntry, layer: number): Inode {
  return { entry, layer, offset: 0, storedBytes: 0 };
}

// What no entry of an archive names: owned by root, without a time.
function made(type: 'directory' | 'symlink', mode: number): TarEntry {
  return {
    type,
    name: Buffer.alloc(0),
    linkName: Buffer.alloc(0),
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
