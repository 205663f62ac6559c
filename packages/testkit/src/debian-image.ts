// A real Debian minbase root file system as an image: thousands of files, device nodes, absolute symlinks, every
// kind of owner and mode. Made once by debootstrap and kept below .cache/ of the repository. Runs in the test process.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { Compression } from './aci-builder.ts';
import { aciFromDirectory } from './aci-builder.ts';
import { busyboxFiles } from './busybox.ts';
import type { AciDescription } from './aci-builder.ts';
import type { ManifestOptions } from './manifests.ts';
import { imageManifest } from './manifests.ts';

const SUITE = 'bookworm';
// Raised when the recipe below changes, so that an old cache is not used.
const RECIPE = 1;

/** Where slow things are kept between runs; never committed. */
export const CACHE_DIR: string = join(import.meta.dirname, '../../../.cache');

/** Name of the Debian image. */
export const DEBIAN_IMAGE_NAME = 'example.com/debian';

/** The smallest image that runs something: a static busybox and links for its applets. */
export function minimalImage(options: ManifestOptions = {}): AciDescription {
  return {
    manifest: imageManifest({ name: 'example.com/busybox', exec: ['/bin/sh'], ...options }),
    files: busyboxFiles(),
  };
}

/** Whether {@link debianImage} can work here: root, debootstrap, and a cache or a mirror. */
export function debianImageReason(): string | undefined {
  if (existsSync(imagePath('none'))) return undefined;
  if (process.getuid?.() !== 0) return 'needs root to run debootstrap';
  if (spawnSync('debootstrap', ['--version']).status !== 0) return 'needs debootstrap';
  return undefined;
}

/**
 * Path of the Debian image (example.com/debian, exec /bin/bash). The first call takes minutes.
 *
 * @throws {Error} when debootstrap fails.
 */
export function debianImage(compression: Compression = 'none'): string {
  const image = imagePath(compression);
  if (existsSync(image)) return image;
  const directory = join(CACHE_DIR, 'debian');
  mkdirSync(directory, { recursive: true });
  const root = debianRoot(directory);
  const scratch = mkdtempSync(join(directory, 'tmp-'));
  try {
    const manifest = imageManifest({ name: DEBIAN_IMAGE_NAME, version: '12', exec: ['/bin/bash'] });
    aciFromDirectory(root, manifest, join(scratch, 'image'), compression);
    renameSync(join(scratch, 'image'), image);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return image;
}

/** The root file system itself, for comparisons. */
export function debianRoot(directory: string = join(CACHE_DIR, 'debian')): string {
  const root = join(directory, `${SUITE}-minbase-${RECIPE}`);
  if (existsSync(root)) return root;
  mkdirSync(directory, { recursive: true });
  const scratch = mkdtempSync(join(directory, 'tmp-'));
  const target = join(scratch, 'root');
  try {
    run('debootstrap', ['--variant=minbase', SUITE, target, ...hostMirror()]);
    // What differs between two runs and is of no use in an image.
    for (const path of ['var/cache/apt', 'var/lib/apt/lists', 'var/log'])
      rmSync(join(target, path), { recursive: true, force: true });
    // Two processes may race here: the first rename wins, as the target then is no empty directory.
    try {
      renameSync(target, root);
    } catch (error) {
      if (!existsSync(root)) throw error;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return root;
}

function imagePath(compression: Compression): string {
  return join(CACHE_DIR, 'debian', `${SUITE}-minbase-${RECIPE}.${compression}.aci`);
}

/** The mirror this machine takes its own packages from, as words for debootstrap: none for debootstrap's default. */
export function hostMirror(): string[] {
  const { stdout } = spawnSync(
    'apt-get',
    ['indextargets', '--format', '$(CODENAME) $(REPO_URI)', 'Created-By: Packages'],
    {
      encoding: 'utf8',
    },
  );
  const line = (stdout ?? '').split('\n').find((each) => each.startsWith(`${SUITE} `));
  return line === undefined ? [] : [line.slice(SUITE.length + 1)];
}

function run(program: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`${program} failed: ${error?.message ?? `${stdout}${stderr}`.slice(-2000)}`);
}
