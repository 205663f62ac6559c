// The other `image` commands: cat-manifest, export, rm, gc (contract stage0 7.9-7.11, 7.14).

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';

import type { AciFile } from '@rkt/testkit/aci-builder';
import { imageIds } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { storeSuite } from '../lib/fixtures.ts';
import { stubFlag, tinyImage, writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { FAILURE } from '../lib/rkt.ts';

const FILES: readonly AciFile[] = [
  { path: 'etc/', mode: 0o750 },
  { path: 'etc/conf', content: 'setting\n', mode: 0o640 },
  { path: 'bin/run', content: '#!/bin/sh\n', mode: 0o755 },
  { path: 'bin/alias', type: 'symlink', linkname: '/bin/run' },
  { path: 'bin/hard', type: 'hardlink', linkname: '/bin/run' },
];

storeSuite('images', [], (the) => {
  describe('image cat-manifest', () => {
    it('prints the manifest as it is stored', async () => {
      const manifest = imageManifest({
        name: 'example.com/a',
        exec: ['/bin/x', '<&>'],
        app: { environment: [{ name: 'A', value: '1' }] },
      });
      const key = await the.rkt.fetch(writeImage(the.rkt, { manifest }));
      const compact = (await the.rkt.ok(['image', 'cat-manifest', '--pretty-print=false', key])).stdout;
      assert.equal(compact.trimEnd().split('\n').length, 1);
      assert.ok(compact.includes(String.raw`\u003c\u0026\u003e`));
      assert.deepEqual(
        JSON.parse(compact),
        JSON.parse((await the.rkt.ok(['image', 'cat-manifest', key])).stdout),
      );
      assert.match(
        (await the.rkt.ok(['image', 'cat-manifest', key])).stdout,
        /^\{\n\t"acKind": "ImageManifest",\n\t"acVersion": "0\.8\.11",\n\t"name"/,
      );
    });
  });

  describe('image export', () => {
    it('gives back the same archive and does not overwrite', async () => {
      const path = writeImage(the.rkt, { manifest: imageManifest(), files: FILES, compression: 'gzip' });
      const key = await the.rkt.fetch(path);
      const out = the.rkt.tmp.join('out.aci');
      await the.rkt.ok(['image', 'export', key, out]);
      assert.equal(imageIds(readFileSync(out)).key, key);
      assert.equal(statSync(out).mode & 0o777, 0o644);
      await the.rkt.fails(['image', 'export', key, out], 'output ACI file exists (try --overwrite)');
      writeFileSync(out, 'x'.repeat(1 << 20));
      await the.rkt.ok(['image', 'export', '--overwrite', key, out]);
      assert.equal(imageIds(readFileSync(out)).key, key);
      for (const unknown of ['example.com/none', 'sha512-not-existed', 'some~random~aci~name'])
        await the.rkt.fails(['image', 'export', unknown, the.rkt.tmp.join('none.aci')], /./);
      assert.equal(existsSync(the.rkt.tmp.join('none.aci')), false);
    });
  });

  describe('image rm', () => {
    it('removes images once, whatever they are called', async () => {
      const [a, b] = [await the.rkt.fetch(the.image('a')), await the.rkt.fetch(the.image('b'))];
      const result = await the.rkt.ok(['image', 'rm', a, 'example.com/a', a.slice(0, 30)]);
      assert.equal(result.stdout, `successfully removed aci for image: "${a}"\n`);
      assert.match(result.stderr, /^rm: 1 image\(s\) successfully removed$/m);
      assert.deepEqual(
        (await the.rows()).map(({ id }) => id),
        [b],
      );
      assert.equal(existsSync(`${the.rkt.data}/cas/blob/sha512/${a.slice(7, 9)}/${a}`), false);
    });
    it('goes on behind what it cannot resolve', async () => {
      const key = await the.rkt.fetch(the.image('a'));
      const result = await the.rkt.ok(['image', 'rm', 'sha512-1', 'example.com/none', key]);
      assert.match(result.output, /image ID too short/);
      assert.deepEqual(await the.rows(), []);
    });
  });

  describe('image gc', () => {
    before(function () {
      requires(this, 'root');
    });
    it('works on an empty data directory', () => the.rkt.ok(['image', 'gc']).then(() => undefined));
    it('removes trees nobody uses, and images only after their time', async function () {
      requires(this, 'overlayfs');
      const key = await the.rkt.fetch(the.image('a'));
      const result = await the.rkt.ok(['image', 'gc']);
      assert.match(result.stderr, /removed treestore "deps-sha512-[0-9a-f]{64}"/);
      assert.deepEqual(readdirSync(`${the.rkt.data}/cas/tree`), []);
      assert.deepEqual(
        (await the.rows()).map(({ id }) => id),
        [key],
      );
      await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
      assert.deepEqual(await the.rows(), []);
    });
  });

  describe('images of pods', () => {
    before(function () {
      requires(this, 'root', 'overlayfs', 'busybox');
    });
    it('may go at any time, stage1 included; their trees stay until the pods are gone', async () => {
      const trees = (): number => readdirSync(`${the.rkt.data}/cas/tree`).length;
      const uuid = await the.rkt.prepare([stubFlag(the.rkt), tinyImage(the.rkt, { exec: ['/x'] })]);
      await the.rkt.ok(['image', 'rm', ...(await the.rows()).map(({ id }) => id)]);
      await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
      assert.deepEqual([await the.rows(), trees()], [[], 2], 'prepared');
      await the.rkt.ok(['run-prepared', '--net=none', uuid]);
      await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
      assert.equal(trees(), 2, 'exited');
      await the.rkt.ok(['gc', '--grace-period=0s']);
      await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
      assert.equal(trees(), 0, 'gone');
    });
  });

  describe('without root', () => {
    it('cannot do what it may not', async function () {
      requires(this, 'root');
      await the.rkt.fetch(the.image('a'));
      const result = await the.rkt.run(['image', 'gc'], { uid: 65534, gid: 65534 });
      assert.equal(result.status, FAILURE);
      assert.match(result.output, /permission denied/);
    });
  });
});
