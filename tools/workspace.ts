// Where things are in this clone, and the packages in it. Runs in every tool, with the pinned node.
import fs from 'node:fs';
import path from 'node:path';

export const workspaceRoot: string = path.resolve(import.meta.dirname, '..');
export const cacheDir: string = path.join(workspaceRoot, '.cache');
/** Scripts before they become executables; inside the clone, so that source maps say the same on every machine. */
export const bundlesDir: string = path.join(cacheDir, 'bundles');
export const distDir: string = path.join(workspaceRoot, 'dist');

export interface WorkspacePackage {
  readonly name: string;
  /** Relative to the workspace root, for messages. */
  readonly directory: string;
  readonly tags: readonly string[];
  readonly dependencies: readonly string[];
}

interface PackageJson {
  readonly name: string;
  readonly version?: string;
  readonly nx?: { readonly tags?: readonly string[] };
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Parses a JSON file; `T` is what the caller knows of a file of this repository. */
export function readJson<T>(file: string): T {
  return JSON.parse(fs.readFileSync(file, 'utf8')) as T;
}

/** The version of the product: the one of the root package.json. */
export function productVersion(root: string = workspaceRoot): string {
  const version = readJson<PackageJson>(path.join(root, 'package.json')).version;
  if (version === undefined) throw new Error('package.json: no version');
  return version;
}

/** Every package under packages/ and the e2e suites, by directory name. */
export function workspacePackages(root: string = workspaceRoot): WorkspacePackage[] {
  const directories = fs.readdirSync(path.join(root, 'packages')).map((name) => path.join('packages', name));
  return [...directories.sort(), 'e2e']
    .filter((directory) => fs.existsSync(path.join(root, directory, 'package.json')))
    .map((directory) => {
      const manifest = readJson<PackageJson>(path.join(root, directory, 'package.json'));
      return {
        name: manifest.name,
        directory,
        tags: manifest.nx?.tags ?? [],
        dependencies: Object.keys(manifest.dependencies ?? {}),
      };
    });
}

/** Files below `directory` for which `accept` is true, sorted, as paths that start with `directory`. */
export function listFiles(directory: string, accept: (name: string) => boolean): string[] {
  if (!fs.existsSync(directory)) return [];
  const found: string[] = [];
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) found.push(...listFiles(file, accept));
    else if (accept(entry.name)) found.push(file);
  }
  return found.sort();
}

/** Runs a tool's main function: an error becomes one line, `tool: message`, and status 1. */
export async function runTool(name: string, main: () => void | Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (process.env['RKT_TOOLS_DEBUG'] !== undefined) console.error(error);
    process.exitCode = 1;
  }
}
