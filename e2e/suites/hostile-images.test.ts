// Images made to break out, to lie or to exhaust (design: hostile inputs 1-27). Each is refused with one line and
// status 254 or stays inside; the store and the host are as before.

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
import { gzipSync } from 'node:zlib';

import { openKernel } from '@rkt/linux/libc';
import { buildAci } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';
import type { RawHeader } from '@rkt/testkit/raw-tar';
import {
  base256,
  END_OF_ARCHIVE,
  gnuLongName,
  paxEntry,
  paxRecord,
  rawArchive,
  rawEntry,
} from '@rkt/testkit/raw-tar';

import { FAILURE, INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const MANIFEST = JSON.stringify(imageManifest({ name: 'example.com/hostile', exec: ['/bin/x'] }));
const manifestEntry = (text = MANIFEST): Buffer => rawEntry({ name: 'manifest' }, text);
const rootfs = rawEntry({ name: 'rootfs/', type: '5', mode: 0o755 });
const file = (name: string, content = 'evil', fields: RawHeader = {}): Buffer =>
  rawEntry({ name, ...fields }, content);
const symlink = (name: string, linkname: string): Buffer => rawEntry({ name, linkname, type: '2' });
const hardlink = (name: string, linkname: string): Buffer => rawEntry({ name, linkname, type: '1' });
const directory = (name: string): Buffer => rawEntry({ name, type: '5', mode: 0o755 });

suite('hostile images', ['root'], () => {
  let rkt: Rkt;
  let victim = '';
  beforeEach(() => {
    rkt = new Rkt('hostile');
    victim = rkt.tmp.join('victim');
    mkdirSync(victim);
    writeFileSync(`${victim}/shadow`, 'secret');
  });
  afterEach(() => {
    assert.deepEqual(readdirSync(victim), ['shadow']);
    assert.equal(readFileSync(`${victim}/shadow`, 'utf8'), 'secret');
    assert.equal(lstatSync(`${victim}/shadow`).mode & 0o7777, 0o644);
    assert.equal(lstatSync(`${victim}/shadow`).nlink, 1);
    rkt.tmp.remove();
  });

  const write = (bytes: Uint8Array): string => {
    const path = rkt.tmp.join('hostile.aci');
    writeFileSync(path, bytes);
    return path;
  };
  const archive = (...entries: readonly Buffer[]): Buffer =>
    rawArchive([manifestEntry(), rootfs, ...entries]);

  /** Fetches and renders; either both work and everything is inside, or one fails cleanly. */
  const unpack = async (bytes: Uint8Array): Promise<string | undefined> => {
    const path = write(bytes);
    const out = rkt.tmp.join('out');
    rmSync(out, { recursive: true, force: true });
    const fetched = await rkt.run([INSECURE, 'fetch', '--full', path]);
    assertClean(fetched);
    if (fetched.status !== 0) return undefined;
    const rendered = await rkt.run(['image', 'render', '--rootfs-only', fetched.stdout.trim(), out]);
    assertClean(rendered);
    return rendered.status === 0 ? out : undefined;
  };
  const assertClean = ({ status, stderr }: { status: number; stderr: string }): void => {
    assert.ok(status === 0 || status === FAILURE, `status ${status}: ${stderr}`);
    assert.ok(!stderr.includes('\x1b') && !stderr.includes('    at '), stderr);
    if (status !== 0) {
      assert.match(stderr, /^\w+: .+$/m);
      assert.ok(stderr.trimEnd().split('\n').length <= 3, stderr);
    }
    for (const name of existsSync(`${rkt.data}/cas/tmp`) ? readdirSync(`${rkt.data}/cas/tmp`) : [])
      assert.fail(`left ${name}`);
    const trees = existsSync(`${rkt.data}/cas/tree`) ? readdirSync(`${rkt.data}/cas/tree`) : [];
    for (const tree of trees)
      assert.ok(existsSync(`${rkt.data}/cas/tree/${tree}/rendered`), `half a tree: ${tree}`);
  };
  const refused = async (bytes: Uint8Array, text: RegExp | string = /./): Promise<void> => {
    const path = write(bytes);
    const fetched = await rkt.run([INSECURE, 'fetch', '--full', path]);
    assertClean(fetched);
    let last = fetched;
    if (fetched.status === 0) {
      last = await rkt.run(['image', 'render', '--rootfs-only', fetched.stdout.trim(), rkt.tmp.join('out')]);
      assertClean(last);
      assert.equal(existsSync(rkt.tmp.join('out')), false);
    }
    assert.equal(last.status, FAILURE, last.output);
    assert.ok(typeof text === 'string' ? last.output.includes(text) : text.test(last.output), last.output);
  };

  describe('names', () => {
    it('with .. are refused or stay inside', async () => {
      for (const name of [
        'rootfs/../../../../victim/x',
        '../victim/x',
        'rootfs/a/../../../victim/x',
        'rootfs/..',
        '..',
      ]) {
        await unpack(archive(file(name)));
      }
    });
    it('that are absolute stay inside', async () => {
      await unpack(archive(file(`${victim}/x`), file('/rootfs/abs')));
    });
    it('may hold anything but / and NUL', async () => {
      const odd = ['new\nline', 'esc\x1b[31m', '\x01', 'a\\b', ' ', '-rf', '*', '"', '\u202e'];
      const out = await unpack(archive(...odd.map((name) => file(`rootfs/${name}`))));
      if (out !== undefined) assert.equal(readdirSync(out).length, odd.length);
    });
    it('are distinct by case and by Unicode form', async () => {
      const names = ['a', 'A', 'é', 'e\u0301'];
      const out = await unpack(archive(...names.map((name) => file(`rootfs/${name}`, name))));
      assert.ok(out !== undefined);
      for (const name of names) assert.equal(readFileSync(`${out}/${name}`, 'utf8'), name);
    });
    it('longer than the system allows are refused', async () => {
      await refused(
        archive(gnuLongName('L', `rootfs/${'c'.repeat(300)}`), file('rootfs/x')),
        /name too long|ENAMETOOLONG/i,
      );
      await refused(archive(gnuLongName('L', `rootfs/${'d/'.repeat(3000)}f`), file('rootfs/x')));
    });
    it('with NUL bytes inside are cut or refused', async () => {
      await unpack(archive(file('rootfs/a\0../../../victim/x')));
      await unpack(archive(paxEntry([paxRecord('path', `rootfs/a\0/../../victim/x`)]), file('rootfs/x')));
    });
    it('outside rootfs are not unpacked', async () => {
      const out = await unpack(archive(file('stray'), file('rootfsx/y')));
      if (out !== undefined) assert.deepEqual(readdirSync(out), []);
    });
  });

  describe('symlinks', () => {
    it('are never followed out', async () => {
      await unpack(archive(symlink('rootfs/d', victim), file('rootfs/d/x')));
      await unpack(archive(symlink('rootfs/d', '../../../../../../..'), file(`rootfs/d${victim}/x`)));
      await unpack(
        archive(
          symlink('rootfs/a', 'b'),
          symlink('rootfs/b', '../..'),
          symlink('rootfs/c', 'a/..'),
          file('rootfs/c/victim/x'),
        ),
      );
      await unpack(archive(symlink('rootfs/f', `${victim}/shadow`), file('rootfs/f', 'overwritten')));
      await unpack(archive(symlink('rootfs/p', '/proc/self/root'), file(`rootfs/p${victim}/x`)));
      await unpack(archive(symlink('rootfs/p', '/proc/self/cwd/victim'), file(`rootfs/p/x`)));
    });
    it('do not carry modes, owners or times out', async () => {
      await unpack(
        archive(symlink('rootfs/d', victim), rawEntry({ name: 'rootfs/d', type: '5', mode: 0o777, uid: 1 })),
      );
      await unpack(
        archive(
          symlink('rootfs/d', `${victim}/shadow`),
          rawEntry({ name: 'rootfs/d', mode: 0o777, uid: 1 }, ''),
        ),
      );
      assert.equal(lstatSync(victim).mode & 0o777, 0o755);
      assert.equal(lstatSync(victim).uid, 0);
    });
    it('keep their targets to the letter', async () => {
      const targets = ['/abs/target', '../../..', './x//y/', 'a b'];
      const out = await unpack(
        archive(...targets.map((target, index) => symlink(`rootfs/${index}`, target))),
      );
      assert.ok(out !== undefined);
      for (const [index, target] of targets.entries()) {
        assert.equal(readlinkSync(`${out}/${index}`), target);
      }
    });
    it('in place of rootfs are refused or replaced', async () => {
      await unpack(rawArchive([manifestEntry(), symlink('rootfs', victim), file('rootfs/x')]));
      await unpack(rawArchive([manifestEntry(), symlink('rootfs', '..'), file('rootfs/victim/x')]));
    });
    it('are replaced by directories and the reverse', async () => {
      await unpack(archive(symlink('rootfs/d', victim), directory('rootfs/d/'), file('rootfs/d/x')));
      await unpack(
        archive(directory('rootfs/d/'), file('rootfs/d/y'), symlink('rootfs/d', victim), file('rootfs/d/x')),
      );
    });
  });

  describe('hard links', () => {
    it('out of the tree are refused', async () => {
      await refused(archive(hardlink('rootfs/x', `${victim}/shadow`)));
      await refused(archive(hardlink('rootfs/x', `rootfs/../../../victim/shadow`)));
      await refused(archive(hardlink('rootfs/x', `../../victim/shadow`)));
    });
    it('through symlinks are refused', async () => {
      await refused(archive(symlink('rootfs/d', victim), hardlink('rootfs/x', 'rootfs/d/shadow')));
      await refused(
        archive(
          symlink('rootfs/a', '..'),
          symlink('rootfs/b', 'a/..'),
          hardlink('rootfs/x', 'rootfs/b/../victim/shadow'),
        ),
      );
    });
    it('to what is missing are refused, by name', async () => {
      await refused(archive(hardlink('rootfs/x', 'rootfs/missing')), /missing/);
    });
    it('to a symlink link the symlink', async () => {
      const out = await unpack(
        archive(symlink('rootfs/s', `${victim}/shadow`), hardlink('rootfs/x', 'rootfs/s')),
      );
      if (out !== undefined) assert.ok(lstatSync(`${out}/x`).isSymbolicLink());
    });
    it('then written through do not reach the target', async () => {
      const out = await unpack(
        archive(file('rootfs/a', 'first'), hardlink('rootfs/b', 'rootfs/a'), file('rootfs/b', 'second')),
      );
      if (out !== undefined) assert.equal(readFileSync(`${out}/b`, 'utf8'), 'second');
    });
  });

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
      it(`with ${what} are refused`, () => refused(archive(file('rootfs/x', 'data', fields))));
    }
    it('of old formats are read', async () => {
      const out = await unpack(
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
        await unpack(archive(paxEntry([paxRecord('mtime', time)]), file('rootfs/x')));
      }
      await unpack(archive(file('rootfs/x', '', { mtime: base256(1n << 70n, 12) })));
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
        await unpack(archive(paxEntry([Buffer.from(record)]), file('rootfs/x')));
      }
    });
    it('global pax headers cannot redirect', async () => {
      await unpack(
        archive(paxEntry([paxRecord('path', `../../victim/x`)], { global: true }), file('rootfs/x')),
      );
      await unpack(
        archive(
          paxEntry([paxRecord('linkpath', `${victim}/shadow`)], { global: true }),
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
        await unpack(
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
      const out = await unpack(
        archive(
          rawEntry({ name: 'rootfs/pipe', type: '6' }),
          rawEntry({ name: 'rootfs/watchdog', type: '3', major: 10, minor: 130 }),
          rawEntry({ name: 'rootfs/tty', type: '3', major: 5, minor: 0 }),
        ),
      );
      assert.ok(out !== undefined);
      assert.ok(lstatSync(`${out}/pipe`).isFIFO());
      assert.ok(lstatSync(`${out}/watchdog`).isCharacterDevice());
      await rkt.ok(['image', 'verify', 'example.com/hostile']);
    });
    it('overlay attributes are not taken over', async () => {
      const records = [
        paxRecord('SCHILY.xattr.trusted.overlay.opaque', 'y'),
        paxRecord('SCHILY.xattr.trusted.overlay.redirect', '/etc'),
        paxRecord('SCHILY.xattr.user.overlay.opaque', 'y'),
      ];
      const out = await unpack(
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

  describe('manifests', () => {
    const withManifest = (text: string | Buffer): Buffer =>
      rawArchive([rawEntry({ name: 'manifest' }, text), rootfs]);
    it('must be there', () => refused(rawArchive([rootfs, file('rootfs/x')]), 'missing manifest'));
    for (const [what, text, message] of [
      ['nothing', '', /./],
      ['no JSON', 'hello', /./],
      ['JSON cut off', MANIFEST.slice(0, -5), /./],
      ['a byte order mark', `\uFEFF${MANIFEST}`, /./],
      ['trailing text', `${MANIFEST} x`, /./],
      ['a wrong kind', MANIFEST.replace('ImageManifest', 'PodManifest'), /missing or bad ACKind/],
      ['no version', MANIFEST.replace('"acVersion":"0.8.11",', ''), 'acVersion must be set'],
      ['version 0.0.0', MANIFEST.replace('0.8.11', '0.0.0'), 'SemVer cannot be zero'],
      ['a bad version', MANIFEST.replace('0.8.11', 'v1'), 'SemVer is bad'],
      ['no name', MANIFEST.replace('"name":"example.com/hostile",', ''), 'name must be set'],
      ['a bad name', MANIFEST.replace('example.com/hostile', '../x'), /ACIdentifier must start and end with/],
      [
        'an upper case name',
        MANIFEST.replace('example.com/hostile', 'Example'),
        /ACIdentifier must contain only lower case/,
      ],
      ['a bad os', MANIFEST.replace('"linux"', '"beos"'), /bad os "beos"/],
      ['a label called name', MANIFEST.replace('"name":"os"', '"name":"name"'), 'invalid label name: "name"'],
      ['labels twice', MANIFEST.replace('"name":"arch"', '"name":"os"'), 'duplicate labels of name "os"'],
      ['an app without user', MANIFEST.replace('"user":"0",', ''), 'user is required'],
      ['arrays 100,000 deep', `{"acKind":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, /./],
      ['a number for a name', MANIFEST.replace('"example.com/hostile"', '5'), /./],
    ] as const) {
      it(`with ${what} are refused`, () => refused(withManifest(text), message));
    }
    it('do not pollute prototypes', async () => {
      const text = `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},${MANIFEST.slice(1)}`;
      const out = await unpack(withManifest(text));
      assert.ok(out !== undefined);
      assert.ok(
        !(await rkt.ok(['image', 'cat-manifest', 'example.com/hostile'])).stdout.includes('polluted'),
      );
    });
    it('given twice never mix', async () => {
      const second = JSON.stringify(imageManifest({ name: 'example.com/second' }));
      await unpack(rawArchive([manifestEntry(), manifestEntry(second), rootfs]));
      const names = (await rkt.ok(['image', 'list', '--no-legend', '--fields=name'])).stdout
        .trim()
        .split('\n');
      assert.ok(names.length <= 1);
    });
    it('may come last and as ./manifest', async () => {
      const out = await unpack(
        rawArchive([rootfs, file('rootfs/x'), rawEntry({ name: './manifest' }, MANIFEST)]),
      );
      assert.ok(out !== undefined);
    });
    it('of a hundred megabytes are refused', () => refused(withManifest(Buffer.alloc(100 << 20, ' '))));
    it('that are links or directories are refused', async () => {
      await refused(rawArchive([symlink('manifest', '/etc/passwd'), rootfs]));
      await refused(rawArchive([directory('manifest'), rootfs]));
      await refused(rawArchive([rootfs, file('rootfs/m', MANIFEST), hardlink('manifest', 'rootfs/m')]));
    });
  });

  describe('archives', () => {
    it('cut at any block are refused', async () => {
      const whole = archive(file('rootfs/x', 'y'.repeat(600)), directory('rootfs/d'));
      for (let length = 0; length <= whole.length - END_OF_ARCHIVE.length; length += 256) {
        const fetched = await rkt.run([INSECURE, 'fetch', write(whole.subarray(0, length))]);
        assertClean(fetched);
        assert.equal(fetched.status, FAILURE, `cut at ${length} of ${whole.length}`);
      }
    });
    it('with garbage behind their end are refused', async () => {
      await refused(Buffer.concat([archive(file('rootfs/x')), Buffer.from('garbage'.repeat(200))]));
      await refused(Buffer.concat([gzipSync(archive(file('rootfs/x'))), Buffer.from('garbage')]));
    });
    it('compressed and cut or damaged are refused', async () => {
      const packed = gzipSync(archive(file('rootfs/x', 'y'.repeat(60_000))));
      for (const part of [0.1, 0.5, 0.9, 0.99]) {
        const fetched = await rkt.run([
          INSECURE,
          'fetch',
          write(packed.subarray(0, Math.floor(packed.length * part))),
        ]);
        assertClean(fetched);
        assert.equal(fetched.status, FAILURE);
      }
      const damaged = Buffer.from(packed);
      damaged[damaged.length - 6] = (damaged.at(-6) ?? 0) ^ 0xff;
      await refused(damaged);
    });
    it('of no known kind are refused', async () => {
      await refused(Buffer.from('hello world\n'.repeat(100)));
      await refused(Buffer.from([0x1f, 0x8b, 0, 0]));
      await refused(Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), Buffer.alloc(600)]));
      await refused(Buffer.concat([Buffer.from('BZh9'), Buffer.alloc(600, 1)]));
      await refused(Buffer.from(''));
    });
    it('that grow without end are refused', async function () {
      this.timeout(180_000);
      // 8 GiB of zeros in 8 MiB: a header that announces them, then nothing but zeros.
      const head = Buffer.concat([
        manifestEntry(),
        rootfs,
        rawEntry({ name: 'rootfs/big', size: base256(8n << 30n, 12) }),
      ]);
      const zeros = gzipSync(Buffer.alloc(64 << 20), { level: 9 });
      const bomb = Buffer.concat([gzipSync(head), ...Array.from({ length: 128 }, () => zeros)]);
      const started = Date.now();
      await refused(bomb);
      assert.ok(Date.now() - started < 120_000);
    });
    it('with one path twice keep the last', async () => {
      const out = await unpack(archive(file('rootfs/x', 'first'), file('rootfs/x', 'second')));
      if (out !== undefined) assert.match(readFileSync(`${out}/x`, 'utf8'), /^(first|second)$/);
    });
    it('leave the store as it was', async () => {
      const good = await rkt.fetch(
        write(buildAci({ manifest: imageManifest({ name: 'example.com/good' }) }).bytes),
      );
      await refused(archive(hardlink('rootfs/x', 'rootfs/missing')).subarray(0, 1024));
      const { stdout } = await rkt.ok(['image', 'list', '--no-legend', '--full', '--fields=id']);
      assert.equal(stdout.trim(), good);
    });
  });
});
