// One case for each known way an archive may attack who unpacks it; the archives are built byte by byte.

import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';

import { openKernel } from '@rkt/linux/libc';
import {
  base256,
  gnuLongName,
  paxEntry,
  paxRecord,
  rawArchive,
  rawEntry,
  type RawHeader,
  rawHeader,
} from '@rkt/testkit/raw-tar';
import { TempDir } from '@rkt/testkit/tmp';

import { unpackArchive, type UnpackOptions } from './testing/unpack-archive.ts';

const MANIFEST = rawEntry({ name: 'manifest' }, '{}');

describe('hostile archives', () => {
  let tmp: TempDir;
  let victim: string;
  beforeEach(function () {
    if (process.getuid?.() !== 0) this.skip();
    tmp = new TempDir('hostile');
    victim = tmp.join('victim');
    mkdirSync(victim);
    writeFileSync(`${victim}/secret`, 'original');
  });
  afterEach(() => {
    if (tmp === undefined) return;
    assert.deepEqual(readdirSync(victim), ['secret'], 'the victim is as it was');
    assert.equal(readFileSync(`${victim}/secret`, 'utf8'), 'original');
    tmp.remove();
  });

  const out = (name = ''): string => tmp.join('a', 'rootfs', name);
  const unpack = (entries: readonly Buffer[], options: UnpackOptions = {}): void => {
    unpackArchive(rawArchive([MANIFEST, ...entries]), out(), options);
  };
  const refused = (entries: readonly Buffer[], pattern: RegExp, options: UnpackOptions = {}): void => {
    assert.throws(() => unpack(entries, options), pattern);
  };
  const file = (name: string, content = 'x', fields: RawHeader = {}): Buffer =>
    rawEntry({ name, ...fields }, content);
  const link = (name: string, linkname: string, type = '2'): Buffer => rawHeader({ name, linkname, type });
  const directory = (name: string): Buffer => rawHeader({ name, type: '5', mode: 0o755 });

  describe('names (1, 2, 11, 12)', () => {
    it('with .. are refused, wherever it stands', () => {
      for (const name of ['../../etc/x', 'rootfs/../../x', 'rootfs/a/../../../x', '..', 'rootfs/..']) {
        refused([file(name)], /name leads outside of the image/);
      }
    });
    it('that are absolute are refused', () => {
      refused([file('/etc/x')], /absolute name/);
      refused([file(`${victim}/x`)], /absolute name/);
    });
    it('outside of rootfs are not unpacked', () => {
      unpack([file('stray'), file('rootfsx/y'), file('rootfs/in')]);
      assert.deepEqual(readdirSync(out()), ['in']);
    });
    it('that are equal to people but not to the kernel are kept apart', () => {
      unpack([
        file('rootfs/\u00e9', '1'),
        file('rootfs/e\u0301', '2'),
        file('rootfs/A', '3'),
        file('rootfs/a', '4'),
      ]);
      assert.equal(readdirSync(out()).length, 4);
    });
    it('in other encodings keep their bytes', () => {
      unpack([file('', 'latin', { name: Buffer.from('rootfs/caf\xe9', 'latin1') })]);
      assert.deepEqual(readdirSync(out(), { encoding: 'buffer' }), [Buffer.from('caf\xe9', 'latin1')]);
    });
    it('with control characters are kept, and escaped in messages', () => {
      unpack([file('rootfs/a\nb\x1b[31m')]);
      assert.deepEqual(readdirSync(out()), ['a\nb\x1b[31m']);
      refused([file('rootfs/\x1b[31m/../x')], /rootfs\/\\x1b\[31m/);
    });
    it('longer than the kernel takes are refused', () => {
      refused([gnuLongName('L', `rootfs/${'c'.repeat(256)}`), file('x')], /file name too long/);
      refused([gnuLongName('L', `rootfs/${'d/'.repeat(2000)}f`), file('x')], /path too long/);
      unpack([gnuLongName('L', `rootfs/${'c'.repeat(255)}`), file('x')]);
    });
  });

  describe('links (3 to 6)', () => {
    it('to the outside are stored as they are and never followed out', () => {
      unpack([link('rootfs/d', '/etc'), directory('rootfs/etc'), file('rootfs/d/inside')]);
      assert.equal(readlinkSync(out('d')), '/etc');
      assert.ok(existsSync(out('etc/inside')));
      assert.ok(!existsSync('/etc/inside'));
    });
    it('in chains stay inside', () => {
      unpack([link('rootfs/a', 'b'), link('rootfs/b', '../../..'), file('rootfs/a/x')]);
      assert.ok(existsSync(out('x')));
      assert.deepEqual(readdirSync(tmp.path).sort(), ['a', 'victim']);
    });
    it('that dangle are no directories', () => {
      refused([link('rootfs/d', victim), file('rootfs/d/x')], /is a dangling link/);
    });
    it('that are hard may not leave the image', () => {
      for (const target of ['../../etc/shadow', 'rootfs/../../x']) {
        refused([link('rootfs/h', target, '1')], /name leads outside of the image/);
      }
      refused([link('rootfs/h', '/etc/shadow', '1')], /absolute name/);
      refused([link('rootfs/h', 'manifest', '1')], /target is outside of rootfs/);
    });
    it('that are hard do not leave through symbolic ones', () => {
      refused(
        [link('rootfs/d', '../..'), link('rootfs/h', 'rootfs/d/victim/secret', '1')],
        /target leads outside of the image/,
      );
      refused([link('rootfs/d', victim), link('rootfs/h', 'rootfs/d/secret', '1')], /target leads outside/);
      // The link itself may have several names.
      unpack([link('rootfs/s', `${victim}/secret`), link('rootfs/h', 'rootfs/s', '1')]);
      assert.ok(lstatSync(out('h')).isSymbolicLink());
    });
    it('that are hard may pass by links that stay inside', () => {
      unpack([
        directory('rootfs/usr/bin'),
        link('rootfs/bin', 'usr/bin'),
        file('rootfs/bin/a'),
        link('rootfs/b', 'rootfs/bin/a', '1'),
      ]);
      assert.equal(lstatSync(out('b')).ino, lstatSync(out('usr/bin/a')).ino);
    });
  });

  it('hard links to what is not there are refused (7)', () => {
    refused(
      [link('rootfs/h', 'rootfs/missing', '1')],
      /hard link rootfs\/h to rootfs\/missing: no such entry/,
    );
    refused([link('rootfs/h', 'rootfs/later', '1'), file('rootfs/later')], /no such entry before it/);
    refused([directory('rootfs/d'), link('rootfs/h', 'rootfs/d', '1')], /target is a directory/);
  });

  it('whiteouts of other formats are files like others (8)', () => {
    unpack([file('rootfs/.wh.x'), file('rootfs/.wh..'), file('rootfs/.wh.')]);
    assert.deepEqual(readdirSync(out()).sort(), ['.wh.', '.wh..', '.wh.x']);
  });

  describe('names that come twice (9, 10)', () => {
    it('take the type of the last', () => {
      unpack([directory('rootfs/d'), link('rootfs/d', 'elsewhere')]);
      assert.equal(readlinkSync(out('d')), 'elsewhere');
      unpack([link('rootfs/e', victim), directory('rootfs/e'), file('rootfs/e/x')]);
      assert.ok(lstatSync(out('e')).isDirectory());
      unpack([link('rootfs/f', `${victim}/secret`), file('rootfs/f', 'mine')]);
      assert.equal(readFileSync(out('f'), 'utf8'), 'mine');
    });
    it('do not write through a hard link made before', () => {
      unpack([file('rootfs/a', 'one'), link('rootfs/b', 'rootfs/a', '1'), file('rootfs/b', 'two')]);
      assert.equal(readFileSync(out('a'), 'utf8'), 'one');
    });
    it('may not replace what has something below it', () => {
      refused([file('rootfs/d/x'), link('rootfs/d', victim)], /replaces a directory that is not empty/);
      refused([file('rootfs/d/x'), file('rootfs/d')], /replaces a directory that is not empty/);
      refused([file('rootfs/f'), file('rootfs/f/x')], /needed as a directory but is none/);
    });
    it('and a directory replaced after its children were seen is not found by its old descriptor', () => {
      unpack([
        directory('rootfs/d'),
        file('rootfs/d/x'),
        rawHeader({ name: 'rootfs/e', type: '5', mode: 0o700 }),
        link('rootfs/e', victim),
        directory('rootfs/e'),
        file('rootfs/e/x'),
      ]);
      assert.ok(lstatSync(out('e/x')).isFile());
    });
  });

  describe('node types (13)', () => {
    it('are made, and never opened', () => {
      unpack([
        rawHeader({ name: 'rootfs/null', type: '3', major: 1, minor: 3, mode: 0o666 }),
        rawHeader({ name: 'rootfs/loop', type: '4', major: 7, minor: 1, magic: 'ustar  \0', mode: 0o660 }),
        rawHeader({ name: 'rootfs/pipe', type: '6', mode: 0o644 }),
      ]);
      assert.equal(lstatSync(out('null')).rdev, 0x103);
      assert.equal(lstatSync(out('loop')).rdev, 0x701);
      assert.ok(lstatSync(out('pipe')).isFIFO());
    });
    it('that are unknown are refused', () => {
      for (const type of ['M', 'D', 's', 'Z']) {
        refused([rawHeader({ name: 'rootfs/x', type })], new RegExp(`unsupported type: ${type}`));
      }
    });
    it('with impossible numbers are refused', () => {
      refused([rawHeader({ name: 'rootfs/x', type: '3', major: 0o77777 })], /no device/);
    });
    it('are left out with a warning without privileges', () => {
      const warnings: string[] = [];
      unpack([rawHeader({ name: 'rootfs/null', type: '3', major: 1, minor: 3 }), file('rootfs/x')], {
        privileged: false,
        warn: (message) => warnings.push(message),
      });
      assert.deepEqual(readdirSync(out()), ['x']);
      assert.match(warnings.join(), /null/);
    });
  });

  describe('attributes (14, 15)', () => {
    it('keep setuid bits and file capabilities, whatever was written in between', () => {
      const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
      unpack([
        file('rootfs/suid', 'x', { mode: 0o6755, uid: 1 }),
        paxEntry([paxRecord('SCHILY.xattr.security.capability', capability)]),
        file('rootfs/ping', 'x', { mode: 0o755, uid: 2 }),
      ]);
      assert.equal(lstatSync(out('suid')).mode & 0o7777, 0o6755);
      assert.deepEqual(openKernel().lgetXattr(out('ping'), 'security.capability'), capability);
    });
    it('never make files overlayfs takes for its own', () => {
      unpack([
        paxEntry([
          paxRecord('SCHILY.xattr.trusted.overlay.opaque', 'y'),
          paxRecord('SCHILY.xattr.user.overlay.redirect', '/etc'),
          paxRecord('SCHILY.xattr.security.selinux', 'system_u:object_r:etc_t:s0'),
        ]),
        file('rootfs/x'),
      ]);
      assert.deepEqual(
        openKernel()
          .llistXattr(out('x'))
          .filter((name) => name !== 'security.selinux'),
        [],
      );
    });
  });

  describe('headers (16 to 18)', () => {
    it('of old and GNU archives are read right', () => {
      unpack([
        file('rootfs/v7', 'old', { magic: '' }),
        file('rootfs/dir/', '', { magic: '' }),
        file('rootfs/big', 'x', { uid: base256(3_000_000_000n, 8), magic: 'ustar  \0' }),
      ]);
      assert.equal(readFileSync(out('v7'), 'utf8'), 'old');
      assert.ok(lstatSync(out('dir')).isDirectory());
      assert.equal(lstatSync(out('big')).uid, 3_000_000_000);
    });
    it('whose size is not to be believed are refused', () => {
      refused([rawHeader({ name: 'rootfs/x', size: 0o77777777 })], /archive is cut/);
      refused([file('rootfs/x', '', { size: base256(-1n, 12) })], /bad size/);
      refused([file('rootfs/x', '', { size: base256(1n << 80n, 12) })], /number out of range/);
      refused([file('rootfs/x', '', { size: 'junk' })], /bad size/);
    });
    it('with a wrong checksum are refused', () => {
      refused([rawHeader({ name: 'rootfs/x', checksum: '000000\0 ' })], /bad header checksum/);
    });
    it('after the end are refused', () => {
      const archive = rawArchive([MANIFEST, file('rootfs/x')]);
      for (const tail of [
        file('rootfs/y'),
        Buffer.from('garbage'),
        Buffer.concat([Buffer.alloc(512), Buffer.from('x')]),
      ]) {
        assert.throws(() => unpackArchive(Buffer.concat([archive, tail]), out()), /data after the end|cut/);
      }
      unpackArchive(Buffer.concat([archive, Buffer.alloc(8192)]), out());
    });
    it('missing at the end are refused', () => {
      assert.throws(() => unpackArchive(Buffer.concat([MANIFEST, file('rootfs/x')]), out()), /cut/);
      assert.throws(() => unpackArchive(Buffer.concat([MANIFEST, Buffer.alloc(512)]), out()), /cut/);
      refused([Buffer.alloc(512), file('rootfs/x')], /block of zeros/);
    });
    it('for all files may set times, but no names or sizes', () => {
      unpack([
        file('rootfs/before', '', { mtime: 5 }),
        paxEntry([paxRecord('mtime', '1000.5'), paxRecord('comment', 'hello')], { global: true }),
        file('rootfs/after'),
        paxEntry([paxRecord('mtime', '7')]),
        file('rootfs/own'),
      ]);
      assert.equal(lstatSync(out('before')).mtimeMs, 5000);
      assert.equal(lstatSync(out('after')).mtimeMs, 1_000_500);
      assert.equal(lstatSync(out('own')).mtimeMs, 7000);
      for (const key of ['path', 'linkpath', 'size', 'GNU.sparse.name', 'SCHILY.xattr.user.a']) {
        refused(
          [paxEntry([paxRecord(key, '1')], { global: true }), file('rootfs/x')],
          /global pax header sets/,
        );
      }
    });
    it('whose size is only for the entry do not shift the headers between', () => {
      // A reader that applies it to the long name would take the content for a header.
      const smuggled = Buffer.concat([rawHeader({ name: 'rootfs/smuggled' }), Buffer.alloc(512)]);
      unpack([
        paxEntry([paxRecord('size', String(smuggled.length))]),
        gnuLongName('L', 'rootfs/outer'),
        file('rootfs/x', smuggled.toString('latin1'), { size: 0 }),
      ]);
      assert.deepEqual(readdirSync(out()), ['outer']);
    });
    it('of pax that are damaged are refused', () => {
      for (const text of ['5 a=b', '99 path=rootfs/x\n', '0 a=b\n', '6 ab\n\n', 'x a=b\n']) {
        refused([rawEntry({ type: 'x' }, text), file('rootfs/x')], /bad pax header/);
      }
      refused([paxEntry([paxRecord('uid', 'many')]), file('rootfs/x')], /bad uid/);
      refused([paxEntry([paxRecord('path', 'rootfs/a\0/../../x')]), file('rootfs/x')], /proper name/);
    });
    it('without an entry are refused', () => {
      refused([paxEntry([paxRecord('path', 'rootfs/x')])], /extended header without an entry/);
    });
  });

  it('times beyond what can be stored are clamped (19)', () => {
    unpack([
      paxEntry([paxRecord('mtime', '-9999999999')]),
      file('rootfs/early'),
      paxEntry([paxRecord('mtime', '99999999999999')]),
      file('rootfs/late'),
      paxEntry([paxRecord('mtime', 'NaN')]),
      file('rootfs/nan', '', { mtime: 9 }),
      file('rootfs/text', '', { mtime: 'abc' }),
    ]);
    assert.ok(lstatSync(out('early')).mtimeMs <= 0);
    assert.ok(lstatSync(out('late')).mtimeMs > Date.UTC(2100, 0));
    assert.equal(lstatSync(out('nan')).mtimeMs, 9000);
    assert.equal(lstatSync(out('text')).mtimeMs, 0);
  });

  it('times of directories are those of their last entry, whatever is put into them and by which name', () => {
    const dir = (name: string, mtime: number): Buffer => rawHeader({ name, type: '5', mode: 0o755, mtime });
    const times = (...names: string[]): number[] => names.map((name) => lstatSync(out(name)).mtimeMs / 1000);
    unpack([
      dir('rootfs', 1000),
      dir('rootfs/a', 2000),
      dir('rootfs/a/b', 3000),
      file('rootfs/a/b/x'),
      file('rootfs/a/y'),
      file('rootfs/a/b/z'),
      file('rootfs/a/new/deep/x'),
      link('rootfs/alias', 'a/b'),
      file('rootfs/alias/w'),
      dir('rootfs/top', 4000),
      file('rootfs/top/x'),
      dir('rootfs/top', 5000),
      file('rootfs/alias/v'),
      dir('rootfs/a/b', 6000),
      file('rootfs/top/y'),
      link('rootfs/a/b/hard', 'rootfs/top/y', '1'),
    ]);
    assert.deepEqual(times('', 'a', 'a/b', 'top'), [1000, 2000, 6000, 5000]);
    assert.ok((times('a/new')[0] ?? 0) > 1_000_000_000, 'one that no entry names has the time it was made');
  });

  it('directories that lock their owner out can be filled all the same', () => {
    const dir = (name: string, mode: number): Buffer => rawHeader({ name, type: '5', mode, mtime: 7 });
    const archive = [
      dir('rootfs/d', 0),
      dir('rootfs/d/e', 0o500),
      file('rootfs/d/e/x'),
      dir('rootfs/f', 0o200),
    ];
    for (const privileged of [true, false]) {
      unpack(archive, { privileged });
      assert.deepEqual(
        ['d', 'd/e', 'f'].map((name) => [lstatSync(out(name)).mode & 0o7777, lstatSync(out(name)).mtimeMs]),
        [
          [0, 7000],
          [0o500, 7000],
          [0o200, 7000],
        ],
      );
      rmSync(out(), { recursive: true });
    }
  });

  it('owners nobody can have are refused (20)', () => {
    refused([file('rootfs/x', '', { uid: base256(0xffff_ffffn, 8) })], /uid 4294967295 is not in the range/);
    refused([file('rootfs/x', '', { gid: base256(-1n, 8) })], /gid -1 is not in the range/);
    refused(
      [paxEntry([paxRecord('uid', '65536')]), file('rootfs/x')],
      /uid 65536 is not in the range 0 to 65535/,
      {
        uidShift: 100_000,
        gidShift: 100_000,
        idCount: 65536,
      },
    );
    unpack([file('rootfs/y', '', { uid: 65535, gid: 1 })], {
      uidShift: 131_072,
      gidShift: 65_536,
      idCount: 65_536,
    });
    assert.deepEqual([lstatSync(out('y')).uid, lstatSync(out('y')).gid], [196_607, 65_537]);
  });

  describe('limits (21, 22)', () => {
    it('bound entries, bytes, headers and holes', () => {
      const many = Array.from({ length: 20 }, (_, index) => file(`rootfs/${index}`));
      refused(many, /more than 10 entries/, { limits: { maxEntries: 10 } });
      refused(many, /files of more than 10 bytes/, { limits: { maxFileBytes: 10 } });
      refused([rawHeader({ type: 'L', size: 2000 })], /extended header of 2000 bytes/, {
        limits: { maxHeaderBytes: 1000 },
      });
      refused(
        [
          paxEntry([paxRecord('GNU.sparse.size', '9'), paxRecord('GNU.sparse.map', '0,1,2,1,4,1')]),
          file('rootfs/x', 'abc'),
        ],
        /too many holes/,
        {
          limits: { maxSparseSegments: 2 },
        },
      );
      refused([file('manifest2')], /manifest of/, { limits: { maxManifestBytes: 1 } });
    });
  });

  it('archives that are cut anywhere are refused (23)', () => {
    const archive = rawArchive([
      MANIFEST,
      directory('rootfs'),
      gnuLongName('L', `rootfs/${'n'.repeat(150)}`),
      file('x', 'content'),
      paxEntry([paxRecord('mtime', '1.5')]),
      file('rootfs/y', 'more'),
    ]);
    for (let length = 0; length < archive.length; length += 1) {
      assert.throws(
        () => unpackArchive(archive.subarray(0, length), tmp.join('cut')),
        /cut|empty/,
        `cut at ${length} of ${archive.length}`,
      );
    }
  });

  it('manifests that come twice or are no file are refused (24)', () => {
    refused([MANIFEST], /more than one manifest/);
    assert.throws(
      () => unpackArchive(rawArchive([link('manifest', 'rootfs/x')]), out()),
      /not a regular file/,
    );
    assert.throws(() => unpackArchive(rawArchive([directory('manifest')]), out()), /not a regular file/);
    assert.throws(() => unpackArchive(rawArchive([directory('rootfs')]), out()), /missing manifest/);
  });

  it('the root of an image is a directory', () => {
    refused([link('rootfs', victim), file('rootfs/x')], /rootfs is not a directory/);
  });
});
