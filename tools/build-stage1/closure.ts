// Copies programs and all that they link from unpacked Debian packages into an image. Runs at build time.
import fs from 'node:fs';
import path from 'node:path';
import { readElf } from '../elf.ts';
import type { ImageTree } from './image-tree.ts';

/** Where the loader looks without a cache or a path: the directory of Debian's libraries for this machine. */
export const LIBRARY_DIR = 'usr/lib/x86_64-linux-gnu';

/**
 * Where the launcher looks as well (launcher.c names it too): for libraries that nothing inside a pod links, only
 * programs that the host runs. Pods without overlay get no copy of it (the annotation `host-files`).
 */
export const HOST_LIBRARY_DIR = 'usr/lib/rkt/libraries';

/** Finds files of packages by the path they have on an installed system, where /bin, /lib, ... are in /usr. */
export class PackageFiles {
  readonly #directories: ReadonlyMap<string, string>;

  constructor(directories: ReadonlyMap<string, string>) {
    this.#directories = directories;
  }

  /** `name` is relative to the root and starts with usr/; the result is an existing file, links followed. */
  find(name: string): { readonly file: string; readonly packageName: string } | undefined {
    for (const [packageName, directory] of this.#directories) {
      for (const candidate of [name, name.replace(/^usr\//, '')]) {
        const file = this.#follow(directory, candidate);
        if (file !== undefined) return { file, packageName };
      }
    }
    return undefined;
  }

  /** Packages hold links to libraries of their own only, relative or absolute. */
  #follow(directory: string, name: string): string | undefined {
    const file = path.join(directory, name);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat?.isFile()) return file;
    if (!stat?.isSymbolicLink()) return undefined;
    const target = fs.readlinkSync(file);
    return this.#follow(directory, path.isAbsolute(target) ? target : path.join(path.dirname(name), target));
  }
}

/** What a copy has used, for the pins. */
export type UsedPackages = Set<string>;

/** How libraries are placed. */
export interface Placing {
  /** Directories in which the one that links them finds them. */
  readonly inherited?: readonly string[];
  /** They are for the host: what is not there for others goes to {@link HOST_LIBRARY_DIR}. */
  readonly forHost?: boolean;
}

/**
 * Puts the libraries that `program` links into `tree`, and the libraries these link, each under the name it is linked
 * by. Libraries with a run path of their own (systemd's) stay in their directory.
 */
export function addLibraries(
  tree: ImageTree,
  program: string,
  files: PackageFiles,
  used: UsedPackages,
  { inherited = [LIBRARY_DIR], forHost = false }: Placing = {},
): void {
  const elf = readElf(program);
  if (elf === undefined) return;
  // A library without a run path finds what its user's has loaded already (libsystemd-core needs that).
  const directories = [...elf.runpath.map((dir) => dir.replace(/^\/(usr\/)?/, 'usr/')), ...inherited];
  const names = [...elf.needed];
  // The loader is started by path, also where nothing links it by name.
  if (elf.interpreter !== undefined) names.push(path.basename(elf.interpreter));
  for (const name of names) {
    const present = forHost ? [...directories, HOST_LIBRARY_DIR] : directories;
    if (present.some((directory) => tree.has(`${directory}/${name}`))) continue;
    const home = directories.find((directory) => files.find(`${directory}/${name}`) !== undefined);
    const found = home === undefined ? undefined : files.find(`${home}/${name}`);
    if (home === undefined || found === undefined) {
      throw new Error(`${program} needs ${name}, which no pinned package has: run \`npm run pins\``);
    }
    used.add(found.packageName);
    const place = forHost && home === LIBRARY_DIR ? HOST_LIBRARY_DIR : home;
    tree.file(`${place}/${name}`, fs.readFileSync(found.file), 0o755);
    addLibraries(tree, found.file, files, used, { inherited: directories, forHost });
  }
}

/** Puts a program of the packages into `tree` at its own path, with all that it links. */
export function addProgram(tree: ImageTree, name: string, files: PackageFiles, used: UsedPackages): void {
  const found = files.find(name);
  if (found === undefined) throw new Error(`no pinned package has ${name}: run \`npm run pins\``);
  used.add(found.packageName);
  tree.file(name, fs.readFileSync(found.file), 0o755);
  addLibraries(tree, found.file, files, used);
}
