// The builder against GNU tar: what it wrote is what was asked for.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';

import { aciFromDirectory, buildAci, COMPRESSIONS, imageIds, writeAci } from './aci-builder.ts';
import { imageManifest } from './manifests.ts';
import { base256, gnuLongName, paxRecord, rawArchive, rawEntry } from './raw-tar.ts';
import { TempDir } from './tmp.ts';

function tar(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

describe('buildAci', () => {
  const tmp = new TempDir('testkit');
  after(() => tmp.remove());

  const long = `d/${'n'.repeat(120)}/${'m'.repeat(140)}`;
  const manifest = imageManifest({ name: 'example.com/x', exec: ['/bin/x'] });
  const files = [
    { path: '/', mode: 0o711 },
    { path: 'dir/', mode: 0o1777, mtime: 1000 },
    { path: '/dir/file', content: 'hello', uid: 1000, gid: 100, mode: 0o4755, mtime: 1234.5 },
    { path: 'dir/link', type: 'symlink', linkname: '/dir/file' },
    { path: 'dir/hard', type: 'hardlink', linkname: '/dir/file' },
    { path: 'dir/null', type: 'char', major: 1, minor: 3, mode: 0o666 },
    { path: 'dir/disk', type: 'block', major: 8, minor: 16 },
    { path: 'dir/pipe', type: 'fifo' },
    { path: 'big-ids', uid: 3_000_000_000, gid: 2_100_000 },
    { path: long, content: 'long' },
    { path: 'ünïcode', content: 'u' },
    { path: 'attr', xattrs: { 'user.test': 'v=\n1' } },
    { path: 'sparse', sparse: { size: 1 << 20, data: [{ offset: 65536, content: 'middle' }] } },
  ] as const;

  it('writes what GNU tar reads', () => {
    const { path } = writeAci(tmp.join('a.aci'), { manifest, files });
    const listing = tar(
      '--list',
      '--verbose',
      '--numeric-owner',
      '--full-time',
      '--utc',
      '--file',
      path,
    ).split('\n');
    const line = (name: string): string => listing.find((each) => each.includes(name)) ?? '';
    assert.match(line(' manifest'), /^-rw-r--r-- 0\/0/);
    assert.match(line(' rootfs/ '.trim()), /^drwx--x--x/);
    assert.match(line('rootfs/dir/file'), /^-rwsr-xr-x 1000\/100 +5 1970-01-01 00:20:34.5/);
    assert.match(line('rootfs/dir/link'), /-> \/dir\/file$/);
    assert.match(line('rootfs/dir/hard'), /link to rootfs\/dir\/file$/);
    assert.match(line('dir/null'), /^crw-rw-rw- 0\/0 +1,3/);
    assert.match(line('dir/disk'), /^brw-r--r-- 0\/0 +8,16/);
    assert.match(line('dir/pipe'), /^prw/);
    assert.match(line('rootfs/dir/ '.trim()), /^drwxrwxrwt/);
    assert.match(line('big-ids'), / 3000000000\/2100000 /);
    assert.equal(tar('--extract', '--to-stdout', '--file', path, `rootfs/${long}`), 'long');
    tar('--extract', '--directory', tmp.path, '--file', path, 'rootfs/sparse');
    const sparse = readFileSync(tmp.join('rootfs/sparse'));
    assert.equal(sparse.length, 1 << 20);
    assert.equal(sparse.toString('latin1').replaceAll('\0', ''), 'middle');
    assert.equal(sparse.indexOf('middle'), 65536);
    assert.match(tar('--list', '--verbose', '--verbose', '--xattrs', '--file', path), /user\.test/);
    assert.deepEqual(JSON.parse(tar('--extract', '--to-stdout', '--file', path, 'manifest')), manifest);
  });

  for (const compression of COMPRESSIONS) {
    it(`compresses with ${compression} and keeps the id`, function () {
      if (compression === 'bzip2' || compression === 'xz') {
        if (spawnSync(compression, ['--help']).error !== undefined) this.skip();
      }
      const plain = buildAci({ manifest, files });
      const { path, id } = writeAci(tmp.join('c.aci'), { manifest, files, compression });
      assert.equal(id, plain.id);
      assert.match(tar('--list', '--auto-compress', '--file', path), /rootfs\/dir\/file/);
      assert.equal(plain.id, `sha512-${createHash('sha512').update(plain.bytes).digest('hex')}`);
      assert.equal(plain.key.length, 71);
    });
  }

  it('puts the manifest where it is wanted', () => {
    const { path } = writeAci(tmp.join('l.aci'), {
      manifest: 'not json',
      manifestLast: true,
      files: [{ path: 'a' }],
    });
    assert.deepEqual(tar('--list', '--file', path).trim().split('\n'), ['rootfs/', 'rootfs/a', 'manifest']);
  });

  it('packs a directory', () => {
    mkdirSync(tmp.join('tree/etc'), { recursive: true, mode: 0o750 });
    writeFileSync(tmp.join('tree/etc/.hidden'), 'x');
    spawnSync('ln', ['-s', './etc/.hidden', tmp.join('tree/link')]);
    spawnSync('ln', [tmp.join('tree/etc/.hidden'), tmp.join('tree/z-hard')]);
    aciFromDirectory(tmp.join('tree'), manifest, tmp.join('t.aci'), 'gzip');
    const listing = tar('--list', '--verbose', '--gzip', '--file', tmp.join('t.aci'));
    assert.match(listing, / manifest\n.* rootfs\/\n.* rootfs\/etc\/\n.* rootfs\/etc\/\.hidden\n/);
    assert.match(listing, /rootfs\/link -> \.\/etc\/\.hidden\n/);
    assert.match(listing, /rootfs\/z-hard link to rootfs\/etc\/\.hidden\n/);
    aciFromDirectory(tmp.join('tree'), manifest, tmp.join('t2.aci'));
    assert.equal(imageIds(readFileSync(tmp.join('t2.aci'))).key.length, 71);
    assert.ok(statSync(tmp.join('t2.aci')).size > 512);
  });
});

describe('raw tar', () => {
  const tmp = new TempDir('testkit');
  after(() => tmp.remove());

  it('gives headers GNU tar accepts, and does not object to others', () => {
    writeFileSync(
      tmp.join('raw.tar'),
      rawArchive([
        gnuLongName('L', 'very/long'),
        rawEntry({ name: 'short', magic: 'ustar  \0', uid: base256(4_000_000_000n, 8) }, 'data'),
        rawEntry({ name: 'v7', magic: '' }, 'old'),
      ]),
    );
    assert.match(
      tar('--list', '--verbose', '--numeric-owner', '--file', tmp.join('raw.tar')),
      /4000000000\/0 .* very\/long\n.* v7\n/,
    );
    writeFileSync(tmp.join('bad.tar'), rawArchive([rawEntry({ name: 'x', checksum: 1 })]));
    assert.notEqual(spawnSync('tar', ['--list', '--file', tmp.join('bad.tar')]).status, 0);
  });
  it('counts pax records in bytes, their own length included', () => {
    assert.equal(paxRecord('a', 'b').toString(), '6 a=b\n');
    assert.equal(paxRecord('path', 'x'.repeat(90)).length, 99);
    assert.equal(paxRecord('path', 'x'.repeat(91)).toString().slice(0, 4), '101 ');
    assert.equal(
      paxRecord('p', 'ü').toString(),
      '8 p=ü\n'.replace('8', String(Buffer.byteLength('8 p=ü\n'))),
    );
  });
});

describe('TempDir', () => {
  it('goes away', () => {
    const tmp = new TempDir();
    writeFileSync(tmp.join('x'), '');
    tmp.remove();
    assert.equal(lstatSync(tmp.path, { throwIfNoEntry: false }), undefined);
  });
});
