// The Debian packages that stage1 images are made of: downloaded by apt, pinned by version and sha256 in debs.json,
// kept in .cache/debs, unpacked beside. Runs at build time.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type FileLock, lockDirectory } from '@rkt/linux/file-lock';
import { cacheDir, readJson, workspaceRoot } from '../workspace.ts';

export interface Pin {
  readonly version: string;
  readonly sha256: string;
}

/** Package name to pin. */
export type Pins = Readonly<Record<string, Pin>>;

export const pinsFile: string = path.join(workspaceRoot, 'tools/build-stage1/debs.json');

const debsDir: string = path.join(cacheDir, 'debs');

/** Stage1 images build side by side and share the packages: one fetches and unpacks, the others wait. */
function lockDebs(): FileLock {
  fs.mkdirSync(debsDir, { recursive: true });
  return lockDirectory(debsDir, { exclusive: true, wait: true });
}

export interface FetchOptions {
  /** Refuse a newer version in place of a pinned one that the mirror has dropped. */
  readonly frozen: boolean;
  readonly warn: (line: string) => void;
}

export function readPins(file: string = pinsFile): Pins {
  return readJson<{ packages: Pins }>(file).packages;
}

export function writePins(pins: Pins, file: string = pinsFile): void {
  const packages = Object.fromEntries(Object.entries(pins).sort(([a], [b]) => (a < b ? -1 : 1)));
  fs.writeFileSync(file, `${JSON.stringify({ packages }, null, 2)}\n`);
}

export function sha256File(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

/** Where the package file of one version is kept; apt's form of the name, with the epoch's colon escaped. */
function debFile(name: string, version: string): string {
  return path.join(debsDir, `${name}_${version.replaceAll(':', '%3a')}_amd64.deb`);
}

// The caller's environment may hold a proxy; the C locale keeps what apt prints readable here.
const aptEnvironment: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C' };

function updateLists(): void {
  spawnSync('apt-get', ['update', '-q'], { env: aptEnvironment, stdio: 'ignore' });
}

/** The versions of each package that the mirror has now, best first. */
export function mirrorVersions(names: readonly string[]): Map<string, string[]> {
  const apt = spawnSync('apt-cache', ['madison', ...names], {
    env: aptEnvironment,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const versions = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const line of apt.stdout.split('\n')) {
    const [name, version, origin] = line.split('|').map((field) => field.trim());
    if (name === undefined || version === undefined || origin?.endsWith('Sources')) continue;
    versions.get(name)?.push(version);
  }
  return versions;
}

/** Lets apt download, and verify by its own signed lists, what is not kept yet. Throws when it cannot. */
function download(wanted: readonly (readonly [name: string, version: string])[]): void {
  const missing = wanted.filter(([name, version]) => !fs.existsSync(debFile(name, version)));
  if (missing.length === 0) return;
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-deb-'));
  try {
    const words = missing.map(([name, version]) => `${name}=${version}`);
    const apt = spawnSync('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...words], {
      cwd: work,
      env: aptEnvironment,
      encoding: 'utf8',
    });
    if (apt.status !== 0) throw new Error(`apt-get download: ${apt.stderr.trim()}`);
    for (const file of fs.readdirSync(work)) {
      // Architecture-independent packages are called _all; here every name ends alike.
      const kept = path.join(debsDir, file.replace(/_all\.deb$/, '_amd64.deb'));
      fs.copyFileSync(path.join(work, file), `${kept}.new`);
      fs.renameSync(`${kept}.new`, kept);
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads the newest versions of packages. Throws when apt has none of one. */
export function fetchNewest(names: readonly string[]): Map<string, { file: string; version: string }> {
  using _lock = lockDebs();
  const wanted = [...mirrorVersions(names)].map(([name, [version]]): [string, string] => {
    if (version === undefined) throw new Error(`package ${name}: apt knows no version of it`);
    return [name, version];
  });
  download(wanted);
  return new Map(wanted.map(([name, version]) => [name, { file: debFile(name, version), version }]));
}

/** Unpacks a package file once, under its own name, and returns the directory. */
export function unpackDeb(file: string): string {
  const directory = path.join(debsDir, 'unpacked', path.basename(file, '.deb'));
  if (!fs.existsSync(directory)) {
    const fresh = `${directory}.${process.pid}`;
    fs.rmSync(fresh, { recursive: true, force: true });
    fs.mkdirSync(fresh, { recursive: true });
    execFileSync('dpkg-deb', ['-x', file, fresh], { env: aptEnvironment });
    fs.renameSync(fresh, directory);
  }
  return directory;
}

/** What to build with for each pin: the pinned version where it can be had, else (not frozen) the mirror's. */
function chooseVersions(pins: Pins, options: FetchOptions): [name: string, version: string][] {
  const all = Object.entries(pins);
  const missing = all
    .filter(([name, pin]) => !fs.existsSync(debFile(name, pin.version)))
    .map(([name]) => name);
  if (missing.length === 0) return all.map(([name, pin]) => [name, pin.version]);
  // apt knows nothing before its first update, and an old list points to files that the mirror has dropped.
  updateLists();
  const available = mirrorVersions(missing);
  return all.map(([name, pin]) => {
    const versions = available.get(name) ?? [pin.version];
    if (versions.includes(pin.version)) return [name, pin.version];
    const [newest] = versions;
    const gone = `package ${name} ${pin.version} is gone from the mirror, which has ${newest ?? 'no version of it'}`;
    if (options.frozen || newest === undefined) throw new Error(`${gone}: run \`npm run pins\``);
    options.warn(`${gone}; building with that (not the pinned image: run \`npm run pins\`)`);
    return [name, newest];
  });
}

/** What `name` is in the directories that {@link fetchPackages} returned. */
export function fetchedPackage(
  name: string,
  directories: ReadonlyMap<string, string>,
  pins: Pins,
): { readonly name: string; readonly version: string; readonly sha256: string } {
  const directory = directories.get(name);
  if (directory === undefined) throw new Error(`package ${name}: not fetched`);
  const version = path
    .basename(directory)
    .slice(name.length + 1, -'_amd64'.length)
    .replaceAll('%3a', ':');
  const pin = pins[name];
  const sha256 = pin?.version === version ? pin.sha256 : sha256File(debFile(name, version));
  return { name, version, sha256 };
}

/** Downloads what is missing, verifies and unpacks every pinned package; returns package name to directory. */
export function fetchPackages(pins: Pins, options: FetchOptions): Map<string, string> {
  using _lock = lockDebs();
  const chosen = chooseVersions(pins, options).sort(([a], [b]) => (a < b ? -1 : 1));
  download(chosen);
  const directories = new Map<string, string>();
  for (const [name, version] of chosen) {
    const file = debFile(name, version);
    const pin = pins[name];
    if (pin?.version === version && sha256File(file) !== pin.sha256) {
      const found = sha256File(file);
      fs.rmSync(file);
      throw new Error(`package ${name} ${version}: sha256 is ${found}, pinned is ${pin.sha256}`);
    }
    directories.set(name, unpackDeb(file));
  }
  return directories;
}
