// Images that try to reach out of their tree by names and links (design: hostile inputs 1-12).

import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { gnuLongName, paxEntry, paxRecord, rawArchive, rawEntry } from '@rkt/testkit/raw-tar';

import { archive, directory, file, hardlink, hostileSuite, manifestEntry, symlink } from '../lib/hostile.ts';

hostileSuite('hostile paths', (the) => {
  describe('names', () => {
    it('with .. are refused or stay inside', async () => {
      for (const name of [
        'rootfs/../../../../victim/x',
        '../victim/x',
        'rootfs/a/../../../victim/x',
        'rootfs/..',
        '..',
      ]) {
        await the.unpack(archive(file(name)));
      }
    });
    it('that are absolute stay inside', async () => {
      await the.unpack(archive(file(`${the.victim}/x`), file('/rootfs/abs')));
    });
    it('may hold anything but / and NUL', async () => {
      const odd = ['new\nline', 'esc\x1b[31m', '\x01', 'a\\b', ' ', '-rf', '*', '"', '\u202e'];
      const out = await the.unpack(archive(...odd.map((name) => file(`rootfs/${name}`))));
      if (out !== undefined) assert.equal(readdirSync(out).length, odd.length);
    });
    it('are distinct by case and by Unicode form', async () => {
      const names = ['a', 'A', 'é', 'e\u0301'];
      const out = await the.unpack(archive(...names.map((name) => file(`rootfs/${name}`, name))));
      assert.ok(out !== undefined);
      for (const name of names) assert.equal(readFileSync(`${out}/${name}`, 'utf8'), name);
    });
    it('longer than the system allows are refused', async () => {
      await the.refused(
        archive(gnuLongName('L', `rootfs/${'c'.repeat(300)}`), file('rootfs/x')),
        /name (is )?too long/i,
      );
      await the.refused(archive(gnuLongName('L', `rootfs/${'d/'.repeat(3000)}f`), file('rootfs/x')));
    });
    it('with NUL bytes inside are cut or refused', async () => {
      await the.unpack(archive(file('rootfs/a\0../../../victim/x')));
      await the.unpack(archive(paxEntry([paxRecord('path', `rootfs/a\0/../../victim/x`)]), file('rootfs/x')));
    });
    it('outside rootfs are not unpacked', async () => {
      const out = await the.unpack(archive(file('stray'), file('rootfsx/y')));
      if (out !== undefined) assert.deepEqual(readdirSync(out), []);
    });
  });

  describe('symlinks', () => {
    it('are never followed out', async () => {
      await the.unpack(archive(symlink('rootfs/d', the.victim), file('rootfs/d/x')));
      await the.unpack(archive(symlink('rootfs/d', '../../../../../../..'), file(`rootfs/d${the.victim}/x`)));
      await the.unpack(
        archive(
          symlink('rootfs/a', 'b'),
          symlink('rootfs/b', '../..'),
          symlink('rootfs/c', 'a/..'),
          file('rootfs/c/victim/x'),
        ),
      );
      await the.unpack(archive(symlink('rootfs/f', `${the.victim}/shadow`), file('rootfs/f', 'overwritten')));
      await the.unpack(archive(symlink('rootfs/p', '/proc/self/root'), file(`rootfs/p${the.victim}/x`)));
      await the.unpack(archive(symlink('rootfs/p', '/proc/self/cwd/victim'), file(`rootfs/p/x`)));
    });
    it('do not carry modes, owners or times out', async () => {
      await the.unpack(
        archive(
          symlink('rootfs/d', the.victim),
          rawEntry({ name: 'rootfs/d', type: '5', mode: 0o777, uid: 1 }),
        ),
      );
      await the.unpack(
        archive(
          symlink('rootfs/d', `${the.victim}/shadow`),
          rawEntry({ name: 'rootfs/d', mode: 0o777, uid: 1 }, ''),
        ),
      );
      assert.equal(lstatSync(the.victim).mode & 0o777, 0o755);
      assert.equal(lstatSync(the.victim).uid, 0);
    });
    it('keep their targets to the letter', async () => {
      const targets = ['/abs/target', '../../..', './x//y/', 'a b'];
      const out = await the.unpack(
        archive(...targets.map((target, index) => symlink(`rootfs/${index}`, target))),
      );
      assert.ok(out !== undefined);
      for (const [index, target] of targets.entries()) {
        assert.equal(readlinkSync(`${out}/${index}`), target);
      }
    });
    it('in place of rootfs are refused or replaced', async () => {
      await the.unpack(rawArchive([manifestEntry(), symlink('rootfs', the.victim), file('rootfs/x')]));
      await the.unpack(rawArchive([manifestEntry(), symlink('rootfs', '..'), file('rootfs/victim/x')]));
    });
    it('are replaced by directories and the reverse', async () => {
      await the.unpack(archive(symlink('rootfs/d', the.victim), directory('rootfs/d/'), file('rootfs/d/x')));
      await the.unpack(
        archive(
          directory('rootfs/d/'),
          file('rootfs/d/y'),
          symlink('rootfs/d', the.victim),
          file('rootfs/d/x'),
        ),
      );
    });
  });

  describe('hard links', () => {
    it('out of the tree are refused', async () => {
      await the.refused(archive(hardlink('rootfs/x', `${the.victim}/shadow`)));
      await the.refused(archive(hardlink('rootfs/x', `rootfs/../../../victim/shadow`)));
      await the.refused(archive(hardlink('rootfs/x', `../../victim/shadow`)));
    });
    it('through symlinks are refused', async () => {
      await the.refused(archive(symlink('rootfs/d', the.victim), hardlink('rootfs/x', 'rootfs/d/shadow')));
      await the.refused(
        archive(
          symlink('rootfs/a', '..'),
          symlink('rootfs/b', 'a/..'),
          hardlink('rootfs/x', 'rootfs/b/../victim/shadow'),
        ),
      );
    });
    it('to what is missing are refused, by name', async () => {
      await the.refused(archive(hardlink('rootfs/x', 'rootfs/missing')), /missing/);
    });
    it('to a symlink link the symlink', async () => {
      const out = await the.unpack(
        archive(symlink('rootfs/s', `${the.victim}/shadow`), hardlink('rootfs/x', 'rootfs/s')),
      );
      if (out !== undefined) assert.ok(lstatSync(`${out}/x`).isSymbolicLink());
    });
    it('then written through do not reach the target', async () => {
      const out = await the.unpack(
        archive(file('rootfs/a', 'first'), hardlink('rootfs/b', 'rootfs/a'), file('rootfs/b', 'second')),
      );
      if (out !== undefined) assert.equal(readFileSync(`${out}/b`, 'utf8'), 'second');
    });
  });
});
