// `rkt image fsck`: every kind of stored object is damaged, named, repaired and healed by the next fetch; and what
// `image verify` says of a damaged tree (design: hostile inputs 55).

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';

import { imageManifest } from '@rkt/testkit/manifests';

import { storeSuite } from '../lib/fixtures.ts';
import { stubFlag, writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { FAILURE, INSECURE } from '../lib/rkt.ts';

storeSuite('checks of the store', [], (the) => {
  before(function () {
    requires(this, 'root', 'overlayfs');
  });
  const put = (): string =>
    writeImage(the.rkt, {
      manifest: imageManifest({ name: 'example.com/checked', exec: ['/x'] }),
      files: Array.from({ length: 30 }, (_, index) => ({ path: `etc/${index}`, content: `file ${index}` })),
    });
  const cas = (...names: readonly string[]): string => [the.rkt.data, 'cas', ...names].join('/');
  const tree = (): string => cas('tree', readdirSync(cas('tree'))[0] ?? '');
  const flip = (path: string, at = 1000): void => {
    const bytes = readFileSync(path);
    bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ 4;
    writeFileSync(path, bytes);
  };

  it('finds nothing in a whole store, and in an empty one', async () => {
    const empty = await the.rkt.ok(['image', 'fsck']);
    assert.deepEqual([empty.stdout, empty.stderr], ['', 'fsck: nothing is broken\n']);
    await the.rkt.fetch(put());
    assert.equal((await the.rkt.ok(['image', 'fsck', '--repair', 'example.com/checked'])).stdout, '');
    await the.rkt.fails(['image', 'fsck', 'example.com/none'], 'cannot find aci satisfying name');
  });

  for (const [what, damage, line] of [
    ['blob', (key: string) => flip(cas('blob/sha512', key.slice(7, 9), key)), /^blob sha512-\w{64}: /],
    [
      'manifest',
      (key: string) => flip(cas('imageManifest/sha512', key.slice(7, 9), key), 60),
      /^manifest sha512-\w{64}: it is not the manifest in the image/,
    ],
    ['database', () => flip(cas('db/rkt.db'), 2), /^database: /],
    ['file of a tree', () => flip(`${tree()}/rootfs/etc/3`), /^tree deps-sha512-\w{64}: wrong tree hash: /],
    ['hash of a tree', () => flip(`${tree()}/hash`, 30), /^tree deps-sha512-\w{64}: wrong tree hash: /],
    ['name of a tree’s image', () => flip(`${tree()}/image`, 3), /^tree \S+: it does not say which image/],
    ['manifest of a tree', () => flip(`${tree()}/manifest`, 60), /^tree \S+: its manifest is not that of/],
    ['leftover', () => leftOver(cas('tmp/import-0')), /^scratch import-0: left behind by a command/],
  ] as const) {
    it(`names a flipped bit of a ${what}, repairs it, and the next fetch heals it`, async () => {
      const image = put();
      const key = await the.rkt.fetch(image);
      damage(key);
      const found = await the.rkt.run(['image', 'fsck']);
      assert.equal(found.status, FAILURE);
      assert.match(found.stdout, line);
      assert.equal(found.stdout.trimEnd().split('\n').length, 1, found.stdout);
      assert.match(found.stderr, /^fsck: 1 object\(s\) broken \(use --repair/);
      const repaired = await the.rkt.ok(['image', 'fsck', '--repair']);
      assert.match(repaired.stdout, line);
      assert.match(repaired.stdout, /; (dropped|restored)$/m);
      assert.match(repaired.stderr, /^fsck: 1 broken object\(s\) repaired/);
      await the.rkt.ok(['image', 'fsck']);
      assert.equal(await the.rkt.fetch(image), key);
      await the.rkt.ok(['image', 'fsck']);
      assert.match((await the.rkt.ok(['image', 'verify', key])).stdout, /^successfully verified checksum/);
    });
  }

  it('leaves a damaged tree to the pod that uses it', async () => {
    const uuid = await the.rkt.prepare([stubFlag(the.rkt), put()]);
    for (const name of readdirSync(cas('tree'))) writeFileSync(cas('tree', name, 'rootfs/extra'), '');
    const result = await the.rkt.run(['image', 'fsck', '--repair']);
    assert.equal(result.status, FAILURE);
    assert.match(result.stdout, /; a pod uses it: remove the pod first, then run this again$/m);
    await the.rkt.ok(['rm', uuid]);
    await the.rkt.ok(['gc', '--grace-period=0s']);
    await the.rkt.ok(['image', 'fsck', '--repair']);
    await the.rkt.ok(['image', 'fsck']);
  });

  it('verify names what differs, the first twenty', async () => {
    const key = await the.rkt.fetch(put());
    const root = `${tree()}/rootfs`;
    writeFileSync(`${root}/etc/0`, 'changed');
    chmodSync(`${root}/etc/1`, 0o600);
    rmSync(`${root}/etc/2`);
    writeFileSync(`${root}/new`, '');
    const result = await the.rkt.ok(['image', 'verify', key]);
    assert.deepEqual(result.stdout.split('\n').slice(1, -1), [
      '  rootfs/etc/0: content',
      '  rootfs/etc/1: mode 0600 instead of 0644',
      '  rootfs/etc/2: missing',
      '  rootfs/new: extra',
    ]);
    for (let index = 0; index < 30; index += 1) rmSync(`${root}/etc/${index}`);
    const lines = (await the.rkt.ok(['image', 'verify', key])).stdout.trimEnd().split('\n');
    assert.equal(lines.length, 22);
    assert.equal(lines.at(-1), '  and 10 more');
  });

  it('verify of a tree that cannot be made again fails, and leaves none', async () => {
    const key = await the.rkt.fetch(put());
    writeFileSync(`${tree()}/rootfs/extra`, '');
    flip(cas('blob/sha512', key.slice(7, 9), key));
    const result = await the.rkt.run([INSECURE, 'image', 'verify', key]);
    assert.equal(result.status, FAILURE);
    assert.match(result.stdout, /^tree cache verification failed for image/);
    assert.deepEqual(readdirSync(cas('tree')), []);
  });
});

function leftOver(path: string): void {
  writeFileSync(path, '');
  utimesSync(path, 1, 1);
}
