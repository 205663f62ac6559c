// The file tree of an image in the making: kept in memory, so that what goes in has exactly the owner, mode and time
// that is said here, whatever the machine that builds. Runs at build time.
import fs from 'node:fs';
import path from 'node:path';

export type TreeEntry =
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'file'; readonly mode: number; readonly content: Buffer }
  | { readonly type: 'symlink'; readonly target: string }
  /** Another name of a file of the same tree. */
  | { readonly type: 'link'; readonly target: string };

/** Paths are relative to the image's rootfs, without a leading slash; parents are made as needed, 0755. */
export class ImageTree {
  readonly #entries: Map<string, TreeEntry> = new Map();

  #put(name: string, entry: TreeEntry): void {
    const parent = path.posix.dirname(name);
    if (parent !== '.' && !this.#entries.has(parent)) this.directory(parent);
    if (this.#entries.get(parent)?.type === 'symlink') throw new Error(`${name}: ${parent} is a symlink`);
    this.#entries.set(name, entry);
  }

  directory(name: string, mode = 0o755): void {
    this.#put(name, { type: 'directory', mode });
  }

  file(name: string, content: Buffer | string, mode = 0o644): void {
    this.#put(name, { type: 'file', mode, content: Buffer.from(content) });
  }

  symlink(name: string, target: string): void {
    this.#put(name, { type: 'symlink', target });
  }

  link(name: string, target: string): void {
    this.#put(name, { type: 'link', target });
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Copies a directory of the repository over the tree: files 0644, or 0755 when the owner may execute them. */
  overlay(directory: string): void {
    for (const item of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
      const from = path.join(item.parentPath, item.name);
      const name = path.relative(directory, from);
      // Git keeps no empty directories: a .gitkeep stands for one.
      if (item.name === '.gitkeep') this.directory(path.dirname(name));
      else if (item.isSymbolicLink()) this.symlink(name, fs.readlinkSync(from));
      else if (item.isFile()) {
        this.file(name, fs.readFileSync(from), (fs.statSync(from).mode & 0o100) === 0 ? 0o644 : 0o755);
      } else if (item.isDirectory() && !this.has(name)) this.directory(name);
    }
  }

  /** Entries in the order of their names, hard links last, so that a link's target is there before it. */
  sorted(): [name: string, entry: TreeEntry][] {
    const rank = (entry: TreeEntry): number => (entry.type === 'link' ? 1 : 0);
    return [...this.#entries].sort(
      ([a, left], [b, right]) => rank(left) - rank(right) || Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
  }
}
