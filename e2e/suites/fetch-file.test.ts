// `rkt fetch` of files: references, compression, what the store looks like (contract stage0 3.7, 4, 7.1).

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';

import type { AciFile } from '@rkt/testkit/aci-builder';
import { buildAci, COMPRESSIONS, imageIds } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { storeSuite } from '../lib/fixtures.ts';
import { writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { INSECURE } from '../lib/rkt.ts';

const FILES: readonly AciFile[] = [
  { path: 'etc/', mode: 0o750 },
  { path: 'etc/conf', content: 'setting\n', mode: 0o640 },
  { path: 'bin/run', content: '#!/bin/sh\n', mode: 0o755 },
  { path: 'bin/alias', type: 'symlink', linkname: '/bin/run' },
  { path: 'bin/hard', type: 'hardlink', linkname: '/bin/run' },
];

storeSuite('fetch of files', [], (the) => {
  describe('fetch of files', () => {
    it('prints the short hash, with --full the key', async () => {
      const path = writeImage(the.rkt, { manifest: imageManifest(), files: FILES });
      const { key } = imageIds(readFileSync(path));
      assert.equal((await the.rkt.ok([INSECURE, 'fetch', path])).stdout, `${key.slice(0, 39)}\n`);
      assert.equal((await the.rkt.ok([INSECURE, 'fetch', '--full', `file://${path}`])).stdout, `${key}\n`);
    });
    for (const compression of COMPRESSIONS) {
      it(`reads ${compression}`, async function () {
        if (compression === 'xz' || compression === 'bzip2') requires(this, `program:${compression}`);
        const description = { manifest: imageManifest(), files: FILES, compression };
        const { key } = buildAci({ ...description, compression: 'none' });
        assert.equal(await the.rkt.fetch(writeImage(the.rkt, description)), key);
        await the.rkt.ok(['image', 'export', key, the.rkt.tmp.join('out.aci')]);
        assert.equal(imageIds(readFileSync(the.rkt.tmp.join('out.aci'))).key, key);
      });
    }
    it('finds relative paths and several images', async () => {
      the.image('a');
      const [a, b] = [the.image('a'), the.image('b')];
      const relative = (path: string): string => path.slice(the.rkt.tmp.path.length + 1);
      const { stdout } = await the.rkt.ok([INSECURE, 'fetch', relative(a), `./${relative(b)}`], {
        cwd: the.rkt.tmp.path,
      });
      assert.equal(stdout.trimEnd().split('\n').length, 2);
    });
    it('wants a signature unless told otherwise', async () => {
      await the.rkt.fails(['--debug', 'fetch', the.image('a')], 'error opening signature file');
      assert.deepEqual(await the.rows(), []);
    });
    it('stops at the first image that fails', async () => {
      const result = await the.rkt.fails(
        [INSECURE, 'fetch', the.image('a'), './missing.aci', the.image('b')],
        /^fetch: /m,
      );
      assert.equal(result.stdout.trim().split('\n').length, 1);
      assert.deepEqual(
        (await the.rows()).map(({ name }) => name),
        ['example.com/a:1.0.0'],
      );
    });
    for (const [argument, message] of [
      ['/abs/file.tar', 'invalid image string "file:///abs/file.tar"'],
      ['https://example.com/app', 'invalid image string "https://example.com/app"'],
      ['example.com/app,channel=beta:1.2', 'invalid appc image string "example.com/app,channel=beta:1.2"'],
      ['example.com/app:1:2', 'invalid appc image string'],
      ['example.com/app,foo', 'invalid appc image string'],
      ['not an app name', 'invalid appc image string "not an app name"'],
      ['cimd:foo:v=0:x', 'unknown distribution type: "foo"'],
    ] as const) {
      it(`refuses ${argument}`, () =>
        the.rkt.fails(['--debug', INSECURE, 'fetch', argument], message).then(() => undefined));
    }
    it('never takes its argument for a hash', () =>
      the.rkt
        .fails(
          [INSECURE, '--debug', 'fetch', '--pull-policy=never', 'sha512-0c45e8c0ab2'],
          /unable to fetch.* image from .* "sha512-0c45e8c0ab2"/,
        )
        .then(() => undefined));
    it('refuses app arguments', () =>
      the.rkt
        .fails([INSECURE, 'fetch', the.image('a'), '--', 'x'], 'app arguments unsupported')
        .then(() => undefined));
    it('renders top images into the tree store', async function () {
      requires(this, 'root', 'overlayfs');
      await the.rkt.fetch(the.image('a'));
      const [tree, ...others] = readdirSync(`${the.rkt.data}/cas/tree`);
      assert.deepEqual(others, []);
      assert.match(tree ?? '', /^deps-sha512-[0-9a-f]{64}$/);
      assert.deepEqual(readdirSync(`${the.rkt.data}/cas/tree/${tree}`).sort(), [
        'hash',
        'image',
        'manifest',
        'rendered',
        'rootfs',
      ]);
      assert.match(readFileSync(`${the.rkt.data}/cas/tree/${tree}/hash`, 'utf8'), /^sha512-[0-9a-f]{64}$/);
      assert.match(readFileSync(`${the.rkt.data}/cas/tree/${tree}/image`, 'utf8'), /^sha512-[0-9a-f]{64}$/);
    });
    it('leaves the modes of the contract', async () => {
      const key = await the.rkt.fetch(the.image('a'));
      const mode = (path: string): string =>
        (statSync(`${the.rkt.data}/cas/${path}`).mode & 0o7777).toString(8);
      assert.equal(mode('.'), '2770');
      assert.equal(mode('tmp'), '2770');
      assert.equal(mode(`blob/sha512/${key.slice(7, 9)}`), '2770');
      assert.equal(mode(`blob/sha512/${key.slice(7, 9)}/${key}`), '660');
      assert.equal(mode(`imageManifest/sha512/${key.slice(7, 9)}/${key}`), '660');
      assert.deepEqual(readdirSync(`${the.rkt.data}/cas/tmp`), []);
    });
    it('does not touch a pipe or a directory', async () => {
      mkdirSync(the.rkt.tmp.join('dir.aci'));
      await the.rkt.fails([INSECURE, 'fetch', the.rkt.tmp.join('dir.aci')], /dir\.aci/);
    });
  });
});
