// Trees: extract, render, dependencies, whitelists, verify (contract stage0 7.6, 7.7, 7.12-7.15).

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import type { AciFile } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { storeSuite } from '../lib/fixtures.ts';
import { writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';

const FILES: readonly AciFile[] = [
  { path: 'etc/', mode: 0o750 },
  { path: 'etc/conf', content: 'setting\n', mode: 0o640 },
  { path: 'bin/run', content: '#!/bin/sh\n', mode: 0o755 },
  { path: 'bin/alias', type: 'symlink', linkname: '/bin/run' },
  { path: 'bin/hard', type: 'hardlink', linkname: '/bin/run' },
];

storeSuite('trees of images', [], (the) => {
  describe('image extract and render', () => {
    before(function () {
      requires(this, 'root');
    });
    for (const verb of ['extract', 'render']) {
      it(`${verb} unpacks manifest and rootfs`, async () => {
        const key = await the.rkt.fetch(writeImage(the.rkt, { manifest: imageManifest(), files: FILES }));
        const out = the.rkt.tmp.join('out');
        await the.rkt.ok(['image', verb, key, out]);
        assert.deepEqual(readdirSync(out).sort(), ['manifest', 'rootfs']);
        assert.equal(
          (JSON.parse(readFileSync(`${out}/manifest`, 'utf8')) as { acKind: string }).acKind,
          'ImageManifest',
        );
        assert.equal(readFileSync(`${out}/rootfs/etc/conf`, 'utf8'), 'setting\n');
        assert.equal(statSync(`${out}/rootfs/etc/conf`).mode & 0o7777, 0o640);
        assert.equal(statSync(`${out}/rootfs/etc`).mode & 0o7777, 0o750);
        assert.equal(readlinkSync(`${out}/rootfs/bin/alias`), '/bin/run');
        assert.equal(statSync(`${out}/rootfs/bin/hard`).ino, statSync(`${out}/rootfs/bin/run`).ino);
        await the.rkt.fails(['image', verb, key, out], 'output directory exists (try --overwrite)');
        writeFileSync(`${out}/old`, '');
        await the.rkt.ok(['image', verb, '--overwrite', '--rootfs-only', key, out]);
        assert.deepEqual(readdirSync(out).sort(), ['bin', 'etc']);
        await the.rkt.fails(['image', verb, '--overwrite', key, '/'], /./);
        assert.ok(existsSync('/bin'));
        await the.rkt.fails(['image', verb, 'example.com/none', the.rkt.tmp.join('none')], /./);
        assert.equal(existsSync(the.rkt.tmp.join('none')), false);
      });
    }
    it('only render applies dependencies and whitelists', async () => {
      const base = imageManifest({ name: 'example.com/base' });
      await the.rkt.fetch(
        writeImage(the.rkt, {
          manifest: base,
          files: [
            { path: 'base', content: 'b' },
            { path: 'both', content: 'base' },
            { path: 'etc/' },
            { path: 'etc/x', content: 'x' },
          ],
        }),
      );
      const top = imageManifest({
        name: 'example.com/top',
        dependencies: [{ imageName: 'example.com/base' }],
      });
      const key = await the.rkt.fetch(
        writeImage(the.rkt, {
          manifest: top,
          files: [
            { path: 'both', content: 'top' },
            { path: 'etc', content: 'file' },
          ],
        }),
      );
      await the.rkt.ok(['image', 'extract', '--rootfs-only', key, the.rkt.tmp.join('extracted')]);
      assert.deepEqual(readdirSync(the.rkt.tmp.join('extracted')).sort(), ['both', 'etc']);
      await the.rkt.ok(['image', 'render', '--rootfs-only', key, the.rkt.tmp.join('rendered')]);
      assert.deepEqual(readdirSync(the.rkt.tmp.join('rendered')).sort(), ['base', 'both', 'etc']);
      assert.equal(readFileSync(the.rkt.tmp.join('rendered/both'), 'utf8'), 'top');
      assert.ok(statSync(the.rkt.tmp.join('rendered/etc')).isFile());
      const white = imageManifest({
        name: 'example.com/white',
        dependencies: [{ imageName: 'example.com/base' }],
        pathWhitelist: ['/both', '/own'],
      });
      const whiteKey = await the.rkt.fetch(
        writeImage(the.rkt, {
          manifest: white,
          files: [
            { path: 'own', content: 'o' },
            { path: 'hidden', content: 'h' },
          ],
        }),
      );
      await the.rkt.ok(['image', 'render', '--rootfs-only', whiteKey, the.rkt.tmp.join('white')]);
      assert.deepEqual(readdirSync(the.rkt.tmp.join('white')).sort(), ['both', 'own']);
    });
    it('order dependencies and whitelists as the contract walks them', async () => {
      const file = (name: string): AciFile => ({ path: name, content: name });
      const dependency = (name: string): object => ({ imageName: `example.com/${name}` });
      const put = (
        name: string,
        files: readonly string[],
        options: { deps?: readonly string[]; white?: readonly string[] } = {},
      ): Promise<string> =>
        the.rkt.fetch(
          writeImage(the.rkt, {
            manifest: imageManifest({
              name: `example.com/${name}`,
              ...(options.deps === undefined
                ? {}
                : { dependencies: options.deps.map((each) => ({ ...dependency(each) })) }),
              ...(options.white === undefined ? {} : { pathWhitelist: options.white }),
            }),
            files: files.map(file),
          }),
        );
      await put('d', ['d', 'e']);
      await put('b', ['b', 'x']);
      await put('c', ['c', 'x'], { deps: ['d'], white: ['/c', '/d'] });
      const key = await put('a', ['a'], { deps: ['b', 'c'] });
      await the.rkt.ok(['image', 'render', '--rootfs-only', key, the.rkt.tmp.join('out')]);
      assert.deepEqual(readdirSync(the.rkt.tmp.join('out')).sort(), ['a', 'c', 'd']);
    });
    it('keep owners, devices, times and attributes', async () => {
      const files: AciFile[] = [
        { path: 'null', type: 'char', major: 1, minor: 3, mode: 0o666 },
        { path: 'loop', type: 'block', major: 7, minor: 0, mode: 0o660, gid: 6 },
        { path: 'pipe', type: 'fifo', mode: 0o600 },
        { path: 'suid', mode: 0o4755, uid: 1, gid: 2 },
        { path: 'sticky/', mode: 0o1777, mtime: 1_000_000 },
        { path: 'sticky/in', mtime: 1_234_567_890.25 },
        { path: 'exact', mtime: '1234567890.987654321' },
        { path: 'old', mtime: '-100' },
        { path: 'link', type: 'symlink', linkname: 'dangling', uid: 7, gid: 8, mtime: 5000 },
        { path: 'sparse', sparse: { size: 10_000_000, data: [{ offset: 4096, content: 'x' }] } },
        { path: 'ids', uid: 3_000_000_000, gid: 70_000 },
        { path: `long/${'a'.repeat(200)}/${'b'.repeat(200)}`, content: 'long' },
        { path: 'a:b,c\\d "e\'\tf', content: 'odd' },
        { path: 'öß', content: 'u' },
        { path: 'attr', xattrs: { 'user.a': 'b' } },
      ];
      const key = await the.rkt.fetch(writeImage(the.rkt, { manifest: imageManifest(), files }));
      await the.rkt.ok(['image', 'render', '--rootfs-only', key, the.rkt.tmp.join('out')]);
      const stat = (name: string): ReturnType<typeof lstatSync> & object =>
        lstatSync(the.rkt.tmp.join('out', name));
      const exact = (name: string): bigint =>
        lstatSync(the.rkt.tmp.join('out', name), { bigint: true }).mtimeNs;
      assert.ok(stat('null').isCharacterDevice());
      assert.equal(stat('null').rdev, 0x103);
      assert.ok(stat('loop').isBlockDevice());
      assert.ok(stat('pipe').isFIFO());
      assert.deepEqual(
        [Number(stat('suid').mode) & 0o7777, stat('suid').uid, stat('suid').gid],
        [0o4755, 1, 2],
      );
      assert.equal(Number(stat('sticky').mode) & 0o7777, 0o1777);
      assert.equal(exact('sticky'), 1_000_000n * 1_000_000_000n);
      assert.equal(exact('exact'), 1_234_567_890_987_654_321n);
      assert.equal(exact('link'), 5000n * 1_000_000_000n);
      assert.deepEqual([stat('link').uid, stat('link').gid], [7, 8]);
      assert.deepEqual([stat('ids').uid, stat('ids').gid], [3_000_000_000, 70_000]);
      assert.equal(stat('sparse').size, 10_000_000);
      assert.ok(Number(stat('sparse').blocks) * 512 < 1_000_000, 'holes stay holes');
      assert.equal(readFileSync(the.rkt.tmp.join('out', files[11]?.path ?? ''), 'utf8'), 'long');
      assert.equal(readFileSync(the.rkt.tmp.join('out', 'a:b,c\\d "e\'\tf'), 'utf8'), 'odd');
    });
  });

  describe('image verify', () => {
    before(function () {
      requires(this, 'root', 'overlayfs');
    });
    const tree = (): string => `${the.rkt.data}/cas/tree/${readdirSync(`${the.rkt.data}/cas/tree`)[0] ?? ''}`;

    it('finds every change and repairs it', async () => {
      const key = await the.rkt.fetch(writeImage(the.rkt, { manifest: imageManifest(), files: FILES }));
      const { stdout } = await the.rkt.ok(['image', 'verify', key]);
      assert.equal(stdout, `successfully verified checksum for image: "${key}" ("${key}")\n`);
      const root = `${tree()}/rootfs`;
      for (const [what, damage] of Object.entries({
        content: () => writeFileSync(`${root}/etc/conf`, 'settinh\n'),
        mode: () => chmodSync(`${root}/etc/conf`, 0o644),
        extra: () => writeFileSync(`${root}/extra`, ''),
        missing: () => rmSync(`${root}/bin/alias`),
      })) {
        damage();
        const result = await the.rkt.ok(['image', 'verify', 'example.com/test']);
        assert.match(
          result.stdout,
          /^tree cache verification failed for image example\.com\/test: .*; {2}rebuilding\.\.\.$/m,
          what,
        );
        assert.match((await the.rkt.ok(['image', 'verify', key])).stdout, /^successfully verified checksum/);
      }
    });
    it('says when there is no tree', async () => {
      const key = await the.rkt.fetch(the.image('a'));
      rmSync(tree(), { recursive: true });
      const { stdout } = await the.rkt.ok(['image', 'verify', key]);
      assert.equal(stdout, `image "${key}" not rendered; no verification needed\n`);
    });
    it('is done by render too', async () => {
      const key = await the.rkt.fetch(writeImage(the.rkt, { manifest: imageManifest(), files: FILES }));
      writeFileSync(`${tree()}/rootfs/etc/conf`, 'evil');
      const result = await the.rkt.ok(['image', 'render', key, the.rkt.tmp.join('out')]);
      assert.match(result.output, /tree cache is in a bad state/);
      assert.equal(readFileSync(the.rkt.tmp.join('out/rootfs/etc/conf'), 'utf8'), 'setting\n');
    });
  });
});
