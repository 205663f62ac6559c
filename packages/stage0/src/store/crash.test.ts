// A process that is killed while it imports leaves a store that works. Runs in the test process and in children.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { casTmpDir, dbFile } from '@rkt/pod-layout/data-dir';
import { writeAci } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { cleanScratch } from './scratch.ts';
import { stopHolding } from './testing/stop-holding.ts';
import { TestStore } from './testing/test-store.ts';

// Imports an image as fetch does. A program of its own, so that it can be killed.
const PROGRAM = `
  import { closeSync, openSync } from 'node:fs';
  import { createLogger } from '@rkt/diagnostics/logger';
  import { openKernel } from '@rkt/linux/libc';
  import { openStore } from '@rkt/stage0/store/store';
  import { TreeStore } from '@rkt/stage0/treestore/tree-store';
  const [data, file] = process.argv.slice(1);
  const logger = createLogger({ prefix: 'import' });
  const store = openStore(data, { logger });
  const trees = new TreeStore(data, store, logger);
  const fd = openSync(file, 'r');
  const staged = await trees.stage();
  const sync = (blob) => {
    staged.complete();
    openKernel().syncFs(blob);
  };
  const key = await store.importAci({ fd, name: file }, { rootfs: staged.writer, sync });
  await trees.adopt(staged, key);
  closeSync(fd);
  store.close();
`;
const NODE_OPTIONS = ['--conditions=@rkt/source', '--disable-warning=ExperimentalWarning'];

describe('a store whose writer was killed', () => {
  let the: TestStore;
  let image: { path: string; key: string };
  beforeEach(function () {
    if (process.getuid?.() !== 0) this.skip();
    the = new TestStore();
    image = writeAci(the.tmp.join('large.aci'), {
      manifest: imageManifest(),
      files: [
        { path: 'big', content: Buffer.alloc(30_000_000, 'content ') },
        ...Array.from({ length: 300 }, (_, index) => ({ path: `d/${index}`, content: `file ${index}` })),
      ],
      compression: 'gzip',
    });
  });
  let started: ReturnType<typeof spawn> | undefined;
  afterEach(() => {
    // One that was stopped would keep the test process from ending.
    started?.kill('SIGKILL');
    the?.[Symbol.dispose]();
  });

  const importing = (): ReturnType<typeof spawn> =>
    (started = spawn(
      process.execPath,
      [...NODE_OPTIONS, '--input-type=module', '--eval', PROGRAM, the.data, image.path],
      { cwd: import.meta.dirname, stdio: ['ignore', 'ignore', 'inherit'] },
    ));

  it('has all of an image or nothing, whenever it happened', async function () {
    this.timeout(60_000);
    for (const delayMs of [120, 160, 200, 240, 280, 320, 400, 500]) {
      const child = importing();
      await sleep(delayMs);
      child.kill('SIGKILL');
      if (child.exitCode === null) await once(child, 'exit');
      // What is visible is whole.
      if (the.store.hasKey(image.key)) {
        assert.equal(readFileSync(the.store.blobPath(image.key)).length > 30_000_000, true);
        assert.equal(the.store.readManifest(image.key).name, 'example.com/test');
      }
      for (const id of the.trees.list()) {
        if (the.trees.isRendered(id)) assert.deepEqual(await the.trees.check(id), { state: 'good' });
      }
      assert.ok(the.store.list().length <= 1);
      // And the next command works without repair.
      assert.equal(await the.import(image.path), image.key);
      const { id } = await the.trees.render(image.key);
      assert.deepEqual(await the.trees.check(id), { state: 'good' });
      await the.trees.remove(id);
      the.store.remove(image.key);
    }
  });

  it('is cleaned of what was left, but not of what is in use', async function () {
    this.timeout(60_000);
    const child = importing();
    const names = (): string[] => readdirSync(casTmpDir(the.data));
    const held = await stopHolding(child, the.data, (made) => made.length >= 2);
    const age = (seconds = 1): void => {
      for (const name of names()) utimesSync(path.join(casTmpDir(the.data), name), seconds, seconds);
    };
    age();
    cleanScratch(the.data, 0);
    assert.deepEqual(names(), held);
    child.kill('SIGKILL');
    await once(child, 'exit');
    age(Date.now() / 1000);
    cleanScratch(the.data, 0);
    assert.deepEqual(names(), held, 'too young');
    age();
    cleanScratch(the.data, 0);
    assert.deepEqual(names(), []);
  });

  it('rolls back a transaction that was not finished', async () => {
    await the.import(image.path);
    const child = spawn(
      process.execPath,
      [
        '-e',
        `const { DatabaseSync } = require('node:sqlite');
         const db = new DatabaseSync(${JSON.stringify(dbFile(the.data))});
         db.exec('PRAGMA cache_size = 1; BEGIN; DELETE FROM aciinfo');
         for (let i = 0; i < 5000; i += 1)
           db.prepare('INSERT INTO remote VALUES (?, ?, ?, ?, 0, 0)').run('u' + i, 'x'.repeat(500), '', '');
         process.kill(process.pid, 'SIGKILL');`,
      ],
      { stdio: 'ignore' },
    );
    await once(child, 'exit');
    assert.equal(the.store.list().length, 1);
    assert.equal(the.store.findRemote('u1'), undefined);
  });
});
