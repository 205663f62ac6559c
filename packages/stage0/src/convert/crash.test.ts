// A process that is killed while it converts an image leaves a store that works. Runs in the test process and in
// children.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createLogger } from '@rkt/diagnostics/logger';
import { casTmpDir, layersDir } from '@rkt/pod-layout/data-dir';
import { imageIds } from '@rkt/testkit/aci-builder';

import { openLayout } from '../docker/layout.ts';
import { directoryTree } from '../docker/file-tree.ts';
import { cleanScratch } from '../store/scratch.ts';
import { stopHolding } from '../store/testing/stop-holding.ts';
import { TestStore } from '../store/testing/test-store.ts';
import { convertImage } from './convert-image.ts';
import { openStoredLayer } from './layer-store.ts';
import { type LayerFile, layerTar, testImage, writeLayout } from './testing/test-image.ts';

// Converts an image as fetch does. A program of its own, so that it can be killed.
const PROGRAM = `
  import { createLogger } from '@rkt/diagnostics/logger';
  import { convertImage } from '@rkt/stage0/convert/convert-image';
  import { directoryTree } from '@rkt/stage0/docker/file-tree';
  import { openLayout } from '@rkt/stage0/docker/layout';
  import { openStore } from '@rkt/stage0/store/store';
  import { TreeStore } from '@rkt/stage0/treestore/tree-store';
  const [data, layout] = process.argv.slice(1);
  const logger = createLogger({ prefix: 'convert' });
  const store = openStore(data, { logger });
  const treeStore = new TreeStore(data, store, logger);
  const wanted = { platform: { os: 'linux', architecture: 'amd64' } };
  const image = await openLayout(directoryTree(layout), 'oci', { file: layout, text: 'oci:x' }, wanted);
  await convertImage({ store, treeStore, logger }, image);
  await image.close();
  store.close();
`;
const NODE_OPTIONS = ['--conditions=@rkt/source', '--disable-warning=ExperimentalWarning'];

function layer(index: number): Buffer {
  const small = Array.from({ length: 100 }, (_, file): LayerFile => ({
    name: `d${index}/${file}`,
    content: `file ${file}`,
  }));
  return layerTar([{ name: `big${index}`, content: Buffer.alloc(8_000_000, `content ${index} `) }, ...small]);
}

describe('a store whose converter was killed', () => {
  let the: TestStore;
  let layout: string;
  let key: string;
  before(async function () {
    if (process.getuid?.() !== 0) this.skip();
    the = new TestStore();
    layout = the.tmp.join('layout');
    mkdirSync(layout);
    writeLayout(layout, testImage([0, 1, 2].map(layer)));
    key = await convert();
  });
  after(() => the?.[Symbol.dispose]());

  let started: ChildProcess | undefined;
  // One that was stopped would keep the test process from ending.
  afterEach(() => void started?.kill('SIGKILL'));
  const converting = (): ChildProcess =>
    (started = spawn(
      process.execPath,
      [...NODE_OPTIONS, '--input-type=module', '--eval', PROGRAM, the.data, layout],
      { cwd: import.meta.dirname, stdio: ['ignore', 'ignore', 'inherit'] },
    ));
  const convert = async (): Promise<string> => {
    const wanted = { platform: { os: 'linux', architecture: 'amd64' } };
    const image = await openLayout(directoryTree(layout), 'oci', { file: layout, text: 'oci:x' }, wanted);
    try {
      const logger = createLogger({ prefix: 'test' });
      return await convertImage({ store: the.store, treeStore: the.trees, logger }, image);
    } finally {
      await image.close();
    }
  };
  const forget = async (): Promise<void> => {
    for (const id of the.trees.list()) await the.trees.remove(id);
    the.store.remove(key);
  };

  it('has all of an image or nothing, whenever it happened', async function () {
    this.timeout(120_000);
    for (const delayMs of [200, 300, 400, 500, 650, 850]) {
      await forget();
      const child = converting();
      await sleep(delayMs);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      // What is visible is whole.
      if (the.store.hasKey(key)) {
        assert.equal(imageIds(readFileSync(the.store.blobPath(key))).key, key);
      }
      for (const id of the.trees.list()) {
        if (the.trees.isRendered(id)) assert.deepEqual(await the.trees.check(id), { state: 'good' });
      }
      for (const hex of storedLayers()) {
        const before = storedLayers().length;
        const fd = openStoredLayer(the.data, `sha256:${hex}`);
        assert.ok(fd !== undefined);
        closeSync(fd);
        assert.equal(storedLayers().length, before);
      }
      // And the next command works without repair.
      assert.equal(await convert(), key);
      const { id } = await the.trees.render(key);
      assert.deepEqual(await the.trees.check(id), { state: 'good' });
    }
  });

  it('is cleaned of what was left, but not of what is in use', async function () {
    this.timeout(60_000);
    await forget();
    cleanScratch(the.data, 0, Date.now() + 3_600_000);
    const child = converting();
    const names = (): string[] => readdirSync(casTmpDir(the.data));
    const held = await stopHolding(child, the.data, (made) =>
      made.some((name) => name.startsWith('convert-')),
    );
    const age = (): void => held.forEach((name) => utimesSync(path.join(casTmpDir(the.data), name), 1, 1));
    age();
    cleanScratch(the.data, 0);
    assert.deepEqual(names(), held);
    child.kill('SIGKILL');
    await once(child, 'exit');
    age();
    cleanScratch(the.data, 0);
    assert.deepEqual(names(), []);
  });

  function storedLayers(): string[] {
    const directory = path.join(layersDir(the.data), 'sha256');
    return readdirSync(directory).flatMap((fanOut) => readdirSync(path.join(directory, fanOut)));
  }
});
