// Manifests that are wrong (design: hostile inputs 24-27, contract stage0 3).

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

import { imageManifest } from '@rkt/testkit/manifests';
import { rawArchive, rawEntry } from '@rkt/testkit/raw-tar';

import {
  directory,
  file,
  hardlink,
  hostileSuite,
  MANIFEST,
  manifestEntry,
  rootfsEntry,
  symlink,
} from '../lib/hostile.ts';

hostileSuite('hostile manifests', (the) => {
  describe('manifests', () => {
    const withManifest = (text: string | Buffer): Buffer =>
      rawArchive([rawEntry({ name: 'manifest' }, text), rootfsEntry()]);
    it('must be there', () => the.refused(rawArchive([rootfsEntry(), file('rootfs/x')]), 'missing manifest'));
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
      it(`with ${what} are refused`, () => the.refused(withManifest(text), message));
    }
    it('of a version that is not written yet are read as far as they are understood', async () => {
      const text = `{"unheard":{"of":true},${MANIFEST.replace('0.8.11', '99.0.0').slice(1)}`;
      assert.ok((await the.unpack(withManifest(text))) !== undefined);
    });
    it('with whitelists that lead out, or let nothing in, show nothing that is outside', async () => {
      const listing = (...paths: readonly string[]): Buffer =>
        rawArchive([
          manifestEntry(`{"pathWhitelist":${JSON.stringify(paths)},${MANIFEST.slice(1)}`),
          rootfsEntry(),
          directory('rootfs/etc/'),
          file('rootfs/etc/shadow', 'own'),
          file('rootfs/other', 'other'),
        ]);
      const led = await the.unpack(listing('/../../../../etc/shadow'));
      assert.ok(led === undefined || !existsSync(`${led}/other`));
      if (led !== undefined && existsSync(`${led}/etc/shadow`)) {
        assert.equal(readFileSync(`${led}/etc/shadow`, 'utf8'), 'own');
      }
      const none = await the.unpack(listing('/nothing/of/this'));
      assert.ok(none !== undefined);
      // Directories are no files: whitelists leave them.
      assert.deepEqual(readdirSync(none, { recursive: true }), ['etc']);
      await the.refused(listing('etc/shadow'), 'pathWhitelist must have absolute paths');
    });
    it('that depend on what is not there, or has no name, are refused', async () => {
      const depending = (dependency: object): Buffer =>
        rawArchive([
          manifestEntry(`{"dependencies":[${JSON.stringify(dependency)}],${MANIFEST.slice(1)}`),
          rootfsEntry(),
        ]);
      await the.refused(depending({ imageName: 'nowhere.invalid/image' }), 'nowhere.invalid/image');
      await the.refused(depending({ imageID: `sha512-${'0'.repeat(128)}` }), /imageName|dependency/);
    });
    it('do not pollute prototypes', async () => {
      const text = `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},${MANIFEST.slice(1)}`;
      const out = await the.unpack(withManifest(text));
      assert.ok(out !== undefined);
      assert.ok(
        !(await the.rkt.ok(['image', 'cat-manifest', 'example.com/hostile'])).stdout.includes('polluted'),
      );
    });
    it('given twice never mix', async () => {
      const second = JSON.stringify(imageManifest({ name: 'example.com/second' }));
      await the.unpack(rawArchive([manifestEntry(), manifestEntry(second), rootfsEntry()]));
      const names = (await the.rkt.ok(['image', 'list', '--no-legend', '--fields=name'])).stdout
        .trim()
        .split('\n');
      assert.ok(names.length <= 1);
    });
    it('may come last and as ./manifest', async () => {
      const out = await the.unpack(
        rawArchive([rootfsEntry(), file('rootfs/x'), rawEntry({ name: './manifest' }, MANIFEST)]),
      );
      assert.ok(out !== undefined);
    });
    it('of a hundred megabytes are refused', () => the.refused(withManifest(Buffer.alloc(100 << 20, ' '))));
    it('that are links or directories are refused', async () => {
      await the.refused(rawArchive([symlink('manifest', '/etc/passwd'), rootfsEntry()]));
      await the.refused(rawArchive([directory('manifest'), rootfsEntry()]));
      await the.refused(
        rawArchive([rootfsEntry(), file('rootfs/m', MANIFEST), hardlink('manifest', 'rootfs/m')]),
      );
    });
  });
});
