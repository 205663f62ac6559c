// Archives and headers that lie, end early or never end (design: hostile inputs 13-23).

import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { openKernel } from '@rkt/linux/libc';
import { buildAci } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';
import { base256, END_OF_ARCHIVE, paxEntry, paxRecord, rawEntry } from '@rkt/testkit/raw-tar';

import {
  archive,
  directory,
  file,
  hardlink,
  hostileSuite,
  manifestEntry,
  rootfsEntry,
} from '../lib/hostile.ts';
import { FAILURE, INSECURE } from '../lib/rkt.ts';

hostileSuite('hostile archives', (the) => {
  describe('headers', () => {
    for (const [what, fields] of [
      ['a wrong checksum', { checksum: '0000000\0' }],
      ['a size larger than the archive', { size: 1_000_000 }],
      ['a negative size', { size: base256(-5n, 12) }],
      ['a huge size', { size: base256(1n << 62n, 12) }],
      ['a size of letters', { size: 'abcdefghijk\0' }],
      ['a uid above 2^32', { uid: base256(1n << 33n, 8) }],
      ['a uid of -1', { uid: base256(-1n, 8) }],
      ['a uid of 2^32-1', { uid: base256((1n << 32n) - 1n, 8) }],
      ['an unknown type', { type: 'Z' }],
    ] as const) {
      it(`with ${what} are refused`, () => the.refused(archive(file('rootfs/x', 'data', fields))));
    }
    it('of old formats are read', async () => {
      const out = await the.unpack(
        archive(
          file('rootfs/v7', 'a', { magic: '' }),
          file('rootfs/gnu', 'b', { magic: 'ustar  \0', uid: base256(70_000n, 8) }),
        ),
      );
      assert.ok(out !== undefined);
      assert.deepEqual(readdirSync(out).sort(), ['gnu', 'v7']);
      assert.equal(lstatSync(`${out}/gnu`).uid, 70_000);
    });
    it('with odd times are clamped or refused', async () => {
      for (const time of ['-1e300', '1e300', 'NaN', '99999999999999999999', '-99999999999', '']) {
        await the.unpack(archive(paxEntry([paxRecord('mtime', time)]), file('rootfs/x')));
      }
      await the.unpack(archive(file('rootfs/x', '', { mtime: base256(1n << 70n, 12) })));
    });
    it('pax records that lie about their length are refused', async () => {
      for (const record of [
        '999 path=x\n',
        '5 path=rootfs/y\n',
        'x path=x\n',
        '0 a=b\n',
        '-5 a=b\n',
        '11 path=x',
      ]) {
        await the.unpack(archive(paxEntry([Buffer.from(record)]), file('rootfs/x')));
      }
    });
    it('global pax headers cannot redirect', async () => {
      await the.unpack(
        archive(paxEntry([paxRecord('path', `../../victim/x`)], { global: true }), file('rootfs/x')),
      );
      await the.unpack(
        archive(
          paxEntry([paxRecord('linkpath', `${the.victim}/shadow`)], { global: true }),
          hardlink('rootfs/x', 'rootfs/y'),
        ),
      );
    });
    it('sparse maps that lie are refused', async () => {
      for (const map of ['1\n0\n999999\n', '1\n-5\n4\n', '99999999\n', '2\n0\n4\n2\n4\n', 'x\n']) {
        const records = [
          paxRecord('GNU.sparse.major', '1'),
          paxRecord('GNU.sparse.minor', '0'),
          paxRecord('GNU.sparse.realsize', '10'),
          paxRecord('GNU.sparse.name', 'rootfs/s'),
        ];
        await the.unpack(
          archive(
            paxEntry(records),
            rawEntry(
              { name: 'rootfs/GNUSparseFile.0/s' },
              Buffer.concat([Buffer.from(map.padEnd(512, '\0')), Buffer.from('data')]),
            ),
          ),
        );
      }
    });
  });

  describe('special files', () => {
    it('are made, and never opened', async () => {
      const out = await the.unpack(
        archive(
          rawEntry({ name: 'rootfs/pipe', type: '6' }),
          rawEntry({ name: 'rootfs/watchdog', type: '3', major: 10, minor: 130 }),
          rawEntry({ name: 'rootfs/tty', type: '3', major: 5, minor: 0 }),
        ),
      );
      assert.ok(out !== undefined);
      assert.ok(lstatSync(`${out}/pipe`).isFIFO());
      assert.ok(lstatSync(`${out}/watchdog`).isCharacterDevice());
      await the.rkt.ok(['image', 'verify', 'example.com/hostile']);
    });
    it('overlay attributes are not taken over', async () => {
      const records = [
        paxRecord('SCHILY.xattr.trusted.overlay.opaque', 'y'),
        paxRecord('SCHILY.xattr.trusted.overlay.redirect', '/etc'),
        paxRecord('SCHILY.xattr.user.overlay.opaque', 'y'),
      ];
      const out = await the.unpack(
        archive(paxEntry(records), directory('rootfs/d/'), paxEntry(records), file('rootfs/f')),
      );
      assert.ok(out !== undefined);
      const kernel = openKernel();
      for (const name of ['d', 'f']) {
        assert.deepEqual(
          kernel.llistXattr(`${out}/${name}`).filter((attribute) => attribute.includes('overlay')),
          [],
        );
      }
    });
  });

  describe('archives', () => {
    it('cut at any block are refused', async () => {
      const whole = archive(file('rootfs/x', 'y'.repeat(600)), directory('rootfs/d'));
      for (let length = 0; length <= whole.length - END_OF_ARCHIVE.length; length += 256) {
        const fetched = await the.rkt.run([INSECURE, 'fetch', the.write(whole.subarray(0, length))]);
        the.assertClean(fetched);
        assert.equal(fetched.status, FAILURE, `cut at ${length} of ${whole.length}`);
      }
    });
    it('with garbage behind their end are refused', async () => {
      await the.refused(Buffer.concat([archive(file('rootfs/x')), Buffer.from('garbage'.repeat(200))]));
      await the.refused(Buffer.concat([gzipSync(archive(file('rootfs/x'))), Buffer.from('garbage')]));
    });
    it('compressed and cut or damaged are refused', async () => {
      const packed = gzipSync(archive(file('rootfs/x', 'y'.repeat(60_000))));
      for (const part of [0.1, 0.5, 0.9, 0.99]) {
        const fetched = await the.rkt.run([
          INSECURE,
          'fetch',
          the.write(packed.subarray(0, Math.floor(packed.length * part))),
        ]);
        the.assertClean(fetched);
        assert.equal(fetched.status, FAILURE);
      }
      const damaged = Buffer.from(packed);
      damaged[damaged.length - 6] = (damaged.at(-6) ?? 0) ^ 0xff;
      await the.refused(damaged);
    });
    it('of no known kind are refused', async () => {
      await the.refused(Buffer.from('hello world\n'.repeat(100)));
      await the.refused(Buffer.from([0x1f, 0x8b, 0, 0]));
      await the.refused(Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), Buffer.alloc(600)]));
      await the.refused(Buffer.concat([Buffer.from('BZh9'), Buffer.alloc(600, 1)]));
      await the.refused(Buffer.from(''));
    });
    it('that grow without end are refused', async function () {
      this.timeout(180_000);
      // 8 GiB of zeros in 8 MiB: a header that announces them, then nothing but zeros.
      const head = Buffer.concat([
        manifestEntry(),
        rootfsEntry(),
        rawEntry({ name: 'rootfs/big', size: base256(8n << 30n, 12) }),
      ]);
      const zeros = gzipSync(Buffer.alloc(64 << 20), { level: 9 });
      const bomb = Buffer.concat([gzipSync(head), ...Array.from({ length: 128 }, () => zeros)]);
      const started = Date.now();
      await the.refused(bomb);
      assert.ok(Date.now() - started < 120_000);
    });
    it('with one path twice keep the last', async () => {
      const out = await the.unpack(archive(file('rootfs/x', 'first'), file('rootfs/x', 'second')));
      if (out !== undefined) assert.match(readFileSync(`${out}/x`, 'utf8'), /^(first|second)$/);
    });
    it('leave the store as it was', async () => {
      const good = await the.rkt.fetch(
        the.write(buildAci({ manifest: imageManifest({ name: 'example.com/good' }) }).bytes),
      );
      await the.refused(archive(hardlink('rootfs/x', 'rootfs/missing')).subarray(0, 1024));
      const { stdout } = await the.rkt.ok(['image', 'list', '--no-legend', '--full', '--fields=id']);
      assert.equal(stdout.trim(), good);
    });
  });
});
