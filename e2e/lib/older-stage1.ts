// Stage1 images built from an older commit of this repository, with the tools of that commit. Runs in the mocha process.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { REPOSITORY } from './environment.ts';

/** Of the release before stage1 images were published on their own: interface versions 6 (nspawn) and 5 (fly). */
const OLDER_COMMIT = '43c3f388cc00978c6eb5b1080aa8ac90a317e82c';

/** Of flavours that are younger than that: a commit in which they could do what they can. */
const YOUNGER_COMMIT = '5547e80bdfa02b49bb129e6b420251129b3c1e09';
const YOUNGER_FLAVOURS: readonly string[] = ['kvm', 'example'];

const commitOf = (flavour: string): string =>
  YOUNGER_FLAVOURS.includes(flavour) ? YOUNGER_COMMIT : OLDER_COMMIT;

/** Why the image of a flavour cannot be built here, or undefined. */
export function olderStage1Reason(flavour: string): string | undefined {
  const commit = commitOf(flavour);
  const found = spawnSync('git', ['-C', REPOSITORY, 'cat-file', '-e', `${commit}^{commit}`]);
  return found.status === 0 ? undefined : `needs a clone with the commit ${commit.slice(0, 7)}`;
}

/** The image file of a flavour; built once, and kept in .cache. Throws what the build reports. */
export function olderStage1(flavour: string): string {
  const commit = commitOf(flavour);
  const kept = join(REPOSITORY, '.cache/older-stage1', commit.slice(0, 12));
  const image = join(kept, `stage1-${flavour}.aci`);
  if (existsSync(image)) return image;
  const tree = join(kept, `tree-${process.pid}`);
  mkdirSync(kept, { recursive: true });
  execFileSync('git', ['-C', REPOSITORY, 'worktree', 'add', '--quiet', '--detach', tree, commit]);
  try {
    linkModules(tree);
    // Not there yet where the images of today came from the cache of Nx.
    const debs = join(REPOSITORY, '.cache/debs');
    mkdirSync(debs, { recursive: true });
    mkdirSync(join(tree, '.cache'));
    symlinkSync(debs, join(tree, '.cache/debs'));
    const words = ['--conditions=@rkt/source', 'tools/build-stage1/build.ts', flavour];
    execFileSync(join(tree, 'node_modules/.bin/node'), words, { cwd: tree, stdio: 'pipe' });
    renameSync(join(tree, `dist/stage1-${flavour}.aci`), image);
  } finally {
    rmSync(tree, { recursive: true, force: true });
    execFileSync('git', ['-C', REPOSITORY, 'worktree', 'prune']);
  }
  return image;
}

// The libraries are those of today, our own packages those of the commit.
function linkModules(tree: string): void {
  const modules = join(REPOSITORY, 'node_modules');
  mkdirSync(join(tree, 'node_modules/@rkt'), { recursive: true });
  const own = readdirSync(join(tree, 'packages'));
  for (const name of readdirSync(modules)) {
    if (name === '@rkt') continue;
    const target = own.includes(name) ? join(tree, 'packages', name) : join(modules, name);
    symlinkSync(target, join(tree, 'node_modules', name));
  }
  for (const name of own) symlinkSync(join(tree, 'packages', name), join(tree, 'node_modules/@rkt', name));
}
