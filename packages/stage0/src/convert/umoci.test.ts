// Stacks of layers as umoci unpacks them and as we do: the same tree. Runs in the test process, as root, with umoci.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

import { createLogger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import fc from 'fast-check';

import { TestStore } from '../store/testing/test-store.ts';
import { walkTree } from '../treestore/walk-tree.ts';
import { convertImage } from './convert-image.ts';
import { type LayerFile, layerTar, testImage, writeLayout } from './testing/test-image.ts';

const STACKS = 60;

// Names that are mostly directories, and names that mostly are not: enough stacks must make sense to both.
const directory = fc.array(fc.constantFrom('d', 'e'), { maxLength: 2 });
const leaf = fc.constantFrom('f', 'g', 'h');
const leafPath = fc.tuple(directory, leaf).map(([above, last]) => [...above, last].join('/'));
const directoryPath = directory.map((names) => ['d', ...names].join('/'));
const anyPath = fc.oneof({ weight: 6, arbitrary: leafPath }, { weight: 1, arbitrary: directoryPath });
const mode = fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o1777);
const id = fc.constantFrom(0, 1, 1000);
const mtime = fc.integer({ min: 1, max: 2_000_000_000 });
const linkTarget = fc.oneof(
  anyPath,
  anyPath.map((to) => `/${to}`),
  anyPath.map((to) => `../${to}`),
);

const file = fc.record({
  name: anyPath,
  content: fc.string({ maxLength: 8 }),
  mode,
  uid: id,
  gid: id,
  mtime,
});
const entries: fc.Arbitrary<LayerFile[]> = fc.oneof(
  { weight: 4, arbitrary: file.map((each) => [each]) },
  {
    weight: 3,
    arbitrary: fc
      .record({ name: directoryPath, type: fc.constant('directory' as const), mode, uid: id, gid: id, mtime })
      .map((each) => [each]),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ name: anyPath, type: fc.constant('symlink' as const), link: linkTarget, mtime })
      .map((each) => [each]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(file, leafPath)
      .filter(([{ name }, to]) => name !== to)
      .map(([each, to]): LayerFile[] => [each, { name: to, type: 'hardlink', link: each.name }]),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ name: leafPath, type: fc.constantFrom('char' as const, 'fifo' as const), mode, mtime })
      .map((each) => [each]),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        name: leafPath,
        content: fc.constant('x'),
        xattrs: fc.constantFrom({ 'user.a': 'b' }, { 'user.c': 'd' }),
        mtime,
      })
      .map((each) => [each]),
  },
  { weight: 2, arbitrary: anyPath.map((at): LayerFile[] => [{ name: at.replace(/[^/]+$/, '.wh.$&') }]) },
  { weight: 1, arbitrary: directoryPath.map((at): LayerFile[] => [{ name: `${at}/.wh..wh..opq` }]) },
);
const layer = fc.array(entries, { maxLength: 6 }).map((each) => each.flat());
// A link to a file of a layer below.
const crossLink = fc
  .tuple(leafPath, leafPath)
  .filter(([from, to]) => from !== to)
  .map(([from, to]): LayerFile[][] => [
    [{ name: from, content: 'below' }],
    [{ name: to, type: 'hardlink', link: from }],
  ]);
const stack = fc
  .tuple(
    fc.array(layer, { minLength: 1, maxLength: 3 }),
    fc.option(crossLink),
    fc.array(layer, { maxLength: 1 }),
  )
  .map(([below, linked, above]) => [...below, ...(linked ?? []), ...above]);

/** One line for each file. Times of directories are left out where the two make them themselves. */
function describeTree(root: string): string[] {
  const kernel = openKernel();
  return [...walkTree(root)]
    .filter(({ path: at }) => at !== 'dev' && !at.startsWith('dev/'))
    .map(({ path: at, absolute, stats, linkTo }) => {
      const type = (stats.mode & 0o170000).toString(8);
      const owner = `${stats.uid}:${stats.gid} ${(stats.mode & 0o7777).toString(8)}`;
      if (linkTo !== undefined) return `${at} = ${linkTo}`;
      if (stats.isSymbolicLink()) return `${at} -> ${readlinkSync(absolute)} ${stats.uid}:${stats.gid}`;
      if (stats.isDirectory()) return `${at}/ ${owner}`;
      const xattrs = kernel.llistXattr(absolute).filter((key) => key.startsWith('user.'));
      const content = stats.isFile() ? readFileSync(absolute, 'utf8') : '';
      return `${at} ${type} ${owner} ${Math.floor(stats.mtimeMs / 1000)} ${xattrs.join()} ${JSON.stringify(content)}`;
    });
}

describe('layers beside umoci', () => {
  before(function () {
    if (process.getuid?.() !== 0 || spawnSync('umoci', ['--version']).status !== 0) this.skip();
  });

  it('give the same tree', async function () {
    this.timeout(300_000);
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(stack, async (layers) => {
        using the = new TestStore();
        const image = testImage(layers.map(layerTar));
        const layout = the.tmp.join('layout');
        mkdirSync(layout);
        writeLayout(layout, image);
        const bundle = the.tmp.join('bundle');
        const theirs = spawnSync('umoci', ['unpack', '--image', `${layout}:test`, bundle], {
          encoding: 'utf8',
        });
        const ours = await convertImage(
          { store: the.store, treeStore: the.trees, logger: createLogger({ prefix: 'test' }) },
          image,
        ).catch((error: Error) => error);
        if (ours instanceof Error) {
          // What we refuse umoci refuses too; it only finds other words.
          assert.notEqual(theirs.status, 0, `umoci took it: ${String(ours.cause)}`);
          return;
        }
        // umoci does not look for a link's target among what the same layer has just replaced.
        if (theirs.status !== 0) return;
        const { id: tree } = await the.trees.render(ours);
        assert.deepEqual(describeTree(the.trees.rootfs(tree)), describeTree(path.join(bundle, 'rootfs')));
        compared += 1;
      }),
      { numRuns: STACKS },
    );
    assert.ok(compared > STACKS / 3, `only ${compared} stacks were compared`);
  });
});
