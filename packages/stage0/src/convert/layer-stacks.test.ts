// Five hundred generated stacks of layers unpacked by us and by umoci: the trees must not differ in anything. Needs
// root and umoci.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';

import { createLogger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { TestStore } from '../store/testing/test-store.ts';
import { compareTrees, differenceText } from '../treestore/compare.ts';
import { walkTree } from '../treestore/walk-tree.ts';
import { convertImage } from './convert-image.ts';
import { LAYER_STACKS, type LayerStack } from './testing/layer-stacks.ts';
import { layerTar, testImage, writeLayouts } from './testing/test-image.ts';

const STACKS = 500;
// Everything is written twice and nothing has to last.
const MEMORY_DIRECTORY = '/dev/shm';

describe('stacks of layers', () => {
  let the: TestStore;
  const tmpdir = process.env['TMPDIR'];
  before(function () {
    if (process.getuid?.() !== 0 || spawnSync('umoci', ['--version']).status !== 0) this.skip();
    if (existsSync(MEMORY_DIRECTORY)) process.env['TMPDIR'] = MEMORY_DIRECTORY;
    the = new TestStore();
  });
  after(() => {
    if (tmpdir === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = tmpdir;
    the?.[Symbol.dispose]();
  });

  it('are unpacked as umoci does it', async function () {
    this.timeout(180_000);
    const seed = fc.readConfigureGlobal()?.seed ?? Date.now() % 2 ** 31;
    const stacks = fc.sample(LAYER_STACKS, { numRuns: runs(STACKS), seed });
    const images = stacks.map((layers) => testImage(layers.map(layerTar), { compression: 'none' }));
    unpackTheirs(images, the.tmp.join('layout'), the.tmp.join('theirs'));
    for (const [index, image] of images.entries()) {
      const context = { store: the.store, treeStore: the.trees, logger: createLogger({ prefix: 'test' }) };
      const ours = the.tmp.join('ours');
      mkdirSync(ours);
      const key = await convertImage(context, image, { unpack: false });
      await the.trees.renderInto(key, ours);
      const differences = compareAll(`${ours}/rootfs`, the.tmp.join('theirs', String(index)));
      assert.deepEqual(
        differences,
        [],
        `seed ${seed}, stack ${index}: ${describeStack(stacks[index] ?? [])}`,
      );
      rmSync(ours, { recursive: true });
      the.store.remove(key);
    }
  });
});

// Both programs at once, one after the other for each processor: starting them is what takes the time.
function unpackTheirs(images: readonly ReturnType<typeof testImage>[], layout: string, target: string): void {
  writeLayouts(layout, images);
  mkdirSync(target);
  const { status, stderr } = spawnSync(
    'xargs',
    ['-P4', '-I{}', 'umoci', '--log=error', 'raw', 'unpack', '--image', `${layout}:t{}`, `${target}/{}`],
    { input: images.map((_image, index) => `${index}\n`).join(''), encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  assert.equal(status, 0, stderr.slice(-4000));
}

function compareAll(ours: string, theirs: string): string[] {
  // Links to what an app has for a terminal, which contract stage0 5.5 adds.
  const isOurs = (name: string): boolean => name === 'dev' || name.startsWith('dev/');
  const found = Array.from(
    compareTrees(ours, { directory: theirs, digests: new Map() }, openKernel(), isOurs),
    differenceText,
  );
  for (const { path: name, absolute, stats } of walkTree(ours, isOurs)) {
    const other = lstatSync(Buffer.from(path.join(theirs, name), 'latin1'), { throwIfNoEntry: false });
    if (other !== undefined && other.mtimeMs !== stats.mtimeMs)
      found.push(`${String(absolute)}: ${stats.mtimeMs} instead of ${other.mtimeMs}`);
  }
  return found;
}

function describeStack(layers: LayerStack): string {
  return layers
    .map((files) =>
      files.map((file) => JSON.stringify({ ...file, content: file.content?.length })).join('\n'),
    )
    .join('\n--\n');
}
