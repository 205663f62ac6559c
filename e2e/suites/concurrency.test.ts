// Many commands at once on one data directory: locks make one winner, the others wait or share (contract stage0 7.4,
// 8.1, 10.9; design: hostile inputs 54).

import assert from 'node:assert/strict';

import { imageManifest } from '@rkt/testkit/manifests';

import { list } from '../lib/cleanup.ts';
import { stubFlag, tinyImage, writeImage } from '../lib/images.ts';
import type { Result } from '../lib/process.ts';
import { expectStatus, FAILURE, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('concurrency', ['root'], (the) => {
  const inParallel = async (count: number, args: (index: number) => readonly string[]): Promise<Result[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => the.rkt.run(args(index))));
  const allOk = (results: readonly Result[]): void => {
    for (const result of results) expectStatus(result, 0);
  };

  it('fetches one image once, whoever comes first', async () => {
    const image = writeImage(the.rkt, {
      manifest: imageManifest({ name: 'example.com/same' }),
      files: [{ path: 'f', content: Buffer.alloc(1 << 20, 'x') }],
    });
    const results = await inParallel(6, () => [INSECURE, 'fetch', '--full', image]);
    allOk(results);
    assert.equal(new Set(results.map(({ stdout }) => stdout)).size, 1);
    await the.rkt.ok(['image', 'verify', 'example.com/same']);
    assert.deepEqual(list(`${the.rkt.data}/cas/tmp`), []);
  });

  it('prepares many pods of one image, tree and stage1 rendered once', async () => {
    const flag = stubFlag(the.rkt, { name: 'example.com/stage1-many' });
    const image = tinyImage(the.rkt, { name: 'example.com/many', exec: ['/x'] });
    const results = await inParallel(8, () => [INSECURE, 'prepare', flag, image]);
    allOk(results);
    assert.equal(new Set(results.map(({ stdout }) => stdout)).size, 8);
    assert.equal(the.rkt.podsIn('prepared').length, 8);
    const uuids = the.rkt.podsIn('prepared');
    allOk(await Promise.all(uuids.map((uuid) => the.rkt.run(['run-prepared', '--net=none', uuid]))));
  });

  it('lists, inspects and collects while pods come and go', async () => {
    const flag = stubFlag(the.rkt, { name: 'example.com/stage1-busy' });
    const image = tinyImage(the.rkt, { name: 'example.com/busy', exec: ['/x'] });
    await the.rkt.prepare([flag, image]);
    let isOver = false;
    const pods = (async () => {
      for (let round = 0; round < 8; round += 1)
        allOk(await inParallel(2, () => [INSECURE, 'run', '--net=none', flag, image]));
      isOver = true;
    })();
    const watchers = [
      ['list'],
      ['list', '--format=json'],
      ['gc', '--grace-period=0s'],
      ['image', 'list'],
      ['image', 'gc'],
    ].map(async (args) => {
      while (!isOver) {
        const result = expectStatus(await the.rkt.run(args), 0);
        assert.ok(!/ENOENT|no such file/i.test(result.output), `${args.join(' ')}: ${result.output}`);
      }
    });
    await Promise.all([pods, ...watchers]);
  });

  it('removes a pod once', async () => {
    const uuid = await the.rkt.prepare([stubFlag(the.rkt), tinyImage(the.rkt, { exec: ['/x'] })]);
    const results = await inParallel(4, (index) =>
      index % 2 === 0 ? ['rm', uuid] : ['gc', '--expire-prepared=0s'],
    );
    assert.ok(results.some(({ stdout }) => stdout.includes(uuid)));
    assert.ok(results.every(({ status }) => status === 0 || status === FAILURE));
    assert.deepEqual(the.rkt.podsIn('prepared'), []);
    await the.rkt.ok(['gc', '--grace-period=0s']);
  });

  it('image rm and fetch of one image never leave half of it', async () => {
    const image = tinyImage(the.rkt, { name: 'example.com/flip' });
    await Promise.all([
      ...Array.from({ length: 5 }, () => the.rkt.run([INSECURE, 'fetch', image])),
      ...Array.from({ length: 5 }, () => the.rkt.run(['image', 'rm', 'example.com/flip'])),
    ]);
    const key = await the.rkt.fetch(image);
    await the.rkt.ok(['image', 'cat-manifest', key]);
    await the.rkt.ok(['image', 'export', key, the.rkt.tmp.join('flip.aci')]);
  });
});
