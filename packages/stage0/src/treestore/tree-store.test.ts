import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { openKernel } from '@rkt/linux/libc';
import type { AciFile } from '@rkt/testkit/aci-builder';
import fc from 'fast-check';

import { TestStore } from '../store/testing/test-store.ts';
import { compareTrees, differenceText } from './compare.ts';
import { shortSha512 } from './short-sha512.ts';
import { walkTree } from './walk-tree.ts';

const FILES: readonly AciFile[] = [
  { path: 'etc/', mode: 0o755 },
  { path: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\n' },
  { path: 'bin/', type: 'directory' },
  { path: 'bin/sh', content: '#!', mode: 0o4755 },
  { path: 'bin/bash', type: 'hardlink', linkname: 'bin/sh' },
  { path: 'lib', type: 'symlink', linkname: '/usr/lib' },
  { path: 'null', type: 'char', major: 1, minor: 3 },
  { path: 'pipe', type: 'fifo' },
  { path: 'attr', content: 'x', xattrs: { 'user.a': 'b' } },
  { path: 'sparse', sparse: { size: 1_000_000, data: [{ offset: 500_000, content: 'middle' }] } },
];

// Not readdirSync with `recursive`, which opens fifos.
function namesBelow(root: string): string[] {
  return Array.from(walkTree(root), (entry) => entry.path).sort();
}

describe('tree store', () => {
  let the: TestStore;
  beforeEach(function () {
    if (process.getuid?.() !== 0) this.skip();
    the = new TestStore();
  });
  afterEach(() => the?.[Symbol.dispose]());

  it('unpacks an image once', async () => {
    const key = await the.add({}, FILES);
    const { id, rootfs } = await the.trees.render(key);
    assert.equal(id, `deps-sha512-${hash('sha512', key).slice(0, 64)}`);
    assert.deepEqual(readdirSync(the.trees.path(id)).sort(), [
      'hash',
      'image',
      'manifest',
      'rendered',
      'rootfs',
    ]);
    assert.equal(readFileSync(path.join(the.trees.path(id), 'image'), 'utf8'), key);
    assert.match(readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8'), /^sha512-[0-9a-f]{64}$/);
    assert.equal(statSync(the.trees.path(id)).mode & 0o7777, 0o755);
    assert.equal(readFileSync(path.join(rootfs, 'etc/passwd'), 'utf8'), 'root:x:0:0::/:/bin/sh\n');
    assert.deepEqual(the.trees.list(), [id]);
    const { ctimeMs } = statSync(path.join(the.trees.path(id), 'rendered'));
    assert.deepEqual(await the.trees.render(key), { id, rootfs });
    assert.equal(statSync(path.join(the.trees.path(id), 'rendered')).ctimeMs, ctimeMs);
  });

  it('counts the bytes of the tree for its image', async () => {
    const key = await the.add({}, FILES);
    const { id, rootfs } = await the.trees.render(key);
    const sizes = namesBelow(rootfs)
      .filter((name) => name !== 'bin/sh')
      .map((name) => lstatSync(path.join(rootfs, name)).size);
    const total = sizes.reduce((sum, size) => sum + size, lstatSync(rootfs).size);
    assert.equal(the.store.list()[0]?.treeSizeBytes, total);
    await the.trees.remove(id);
    assert.equal(the.store.list()[0]?.treeSizeBytes, 0);
    assert.deepEqual(the.trees.list(), []);
  });

  it('checks a tree by reading it all again', async () => {
    const { id } = await the.trees.render(await the.add({}, FILES));
    assert.deepEqual(await the.trees.check(id), { state: 'good' });
    assert.deepEqual(await the.trees.check('deps-sha512-none'), { state: 'not-rendered' });
  });

  const CHANGES: Record<string, (rootfs: string) => void> = {
    content: (rootfs) => writeFileSync(`${rootfs}/etc/passwd`, 'root:x:0:0::/:/bin/xx\n'),
    size: (rootfs) => appendFileSync(`${rootfs}/etc/passwd`, 'x'),
    mode: (rootfs) => chmodSync(`${rootfs}/etc/passwd`, 0o600),
    'mode of a directory': (rootfs) => chmodSync(`${rootfs}/etc`, 0o700),
    'mode of the root': (rootfs) => chmodSync(rootfs, 0o700),
    'setuid bit': (rootfs) => chmodSync(`${rootfs}/bin/sh`, 0o755),
    owner: (rootfs) => chownSync(`${rootfs}/etc/passwd`, 1, 0),
    group: (rootfs) => chownSync(`${rootfs}/pipe`, 0, 1),
    'link target': (rootfs) => {
      rmSync(`${rootfs}/lib`);
      symlinkSync('/usr/lix', `${rootfs}/lib`);
    },
    'hard link': (rootfs) => {
      rmSync(`${rootfs}/bin/bash`);
      writeFileSync(`${rootfs}/bin/bash`, '#!', { mode: 0o755 });
      chmodSync(`${rootfs}/bin/bash`, 0o4755);
    },
    'another hard link': (rootfs) => linkSync(`${rootfs}/attr`, `${rootfs}/etc/attr`),
    device: (rootfs) => {
      rmSync(`${rootfs}/null`);
      openKernel().mknodAt(-100, `${rootfs}/null`, 0o020644, 1, 5);
    },
    type: (rootfs) => {
      rmSync(`${rootfs}/pipe`);
      writeFileSync(`${rootfs}/pipe`, '', { mode: 0o644 });
    },
    attribute: (rootfs) => openKernel().lsetXattr(`${rootfs}/attr`, 'user.a', Buffer.from('c')),
    'another attribute': (rootfs) => openKernel().lsetXattr(`${rootfs}/etc`, 'user.a', Buffer.from('c')),
    'a new file': (rootfs) => writeFileSync(`${rootfs}/etc/new`, ''),
    'a new empty directory': (rootfs) => mkdirSync(`${rootfs}/new`),
    'a missing file': (rootfs) => rmSync(`${rootfs}/etc/passwd`),
    name: (rootfs) => renameSync(`${rootfs}/attr`, `${rootfs}/attributes`),
    'data in a hole': (rootfs) => {
      const fd = openKernel().openAt2(-100, `${rootfs}/sparse`, { flags: 1 });
      process.getBuiltinModule('node:fs').writeSync(fd, 'x', 10);
    },
  };
  const NAMED: Record<string, readonly string[]> = {
    content: ['etc/passwd: content'],
    size: ['etc/passwd: content'],
    mode: ['etc/passwd: mode 0600 instead of 0644'],
    'mode of a directory': ['etc: mode 0700 instead of 0755'],
    'mode of the root': [': mode 0700 instead of 0755'],
    'setuid bit': ['bin/bash: mode 0755 instead of 04755'],
    owner: ['etc/passwd: owner 1:0 instead of 0:0'],
    group: ['pipe: owner 0:1 instead of 0:0'],
    'link target': ['lib: link target /usr/lix instead of /usr/lib'],
    'hard link': ['bin/sh: a file instead of a hard link'],
    'another hard link': ['etc/attr: extra'],
    device: ['null: device 1:5 instead of 1:3'],
    type: ['pipe: a file instead of a fifo'],
    attribute: ['attr: extended attributes'],
    'another attribute': ['etc: extended attributes'],
    'a new file': ['etc/new: extra'],
    'a new empty directory': ['new: extra'],
    'a missing file': ['etc/passwd: missing'],
    name: ['attr: missing', 'attributes: extra'],
    'data in a hole': ['sparse: content'],
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    it(`sees a change of ${what}, and names it`, async () => {
      const key = await the.add({}, FILES);
      const { id, rootfs } = await the.trees.render(key);
      change(rootfs);
      const checked = await the.trees.check(id);
      assert.equal(checked.state, 'damaged');
      assert.match(
        (checked as { reason: string }).reason,
        /^wrong tree hash: sha512-\w+, expected: sha512-\w+$/,
      );
      const named: string[] = [];
      await the.trees.rebuild(key, (differences) => {
        for (const difference of differences) named.push(differenceText(difference));
      });
      assert.deepEqual(
        named,
        NAMED[what]?.map((line) => (line.startsWith(':') ? `rootfs${line}` : `rootfs/${line}`)),
      );
      assert.deepEqual(await the.trees.check(id), { state: 'good' });
    });
  }

  it('does not see times, sockets, nor its own files', async () => {
    const { id, rootfs } = await the.trees.render(await the.add({}, FILES));
    utimesSync(`${rootfs}/etc/passwd`, 1, 1);
    openKernel().mknodAt(-100, `${rootfs}/socket`, 0o140644, 0, 0);
    const modes = statSync(rootfs).mode;
    writeFileSync(path.join(the.trees.path(id), 'image'), 'something else');
    assert.deepEqual(await the.trees.check(id), { state: 'good' });
    assert.equal(statSync(rootfs).mode, modes);
  });

  it('makes the same tree again', async () => {
    const key = await the.add({}, FILES);
    const { id, rootfs } = await the.trees.render(key);
    const before = readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8');
    rmSync(`${rootfs}/etc/passwd`);
    await the.trees.rebuild(key);
    assert.deepEqual(await the.trees.check(id), { state: 'good' });
    assert.equal(readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8'), before);
  });

  it('names differences in the order of the walk, whatever the names are', async () => {
    const files: AciFile[] = [
      { path: 'a/', type: 'directory' },
      { path: 'a/x', content: '' },
      { path: 'a-b', content: '' },
      { path: 'a.c', content: '' },
      { path: 'd', content: '' },
    ];
    const key = await the.add({}, files);
    const { rootfs } = await the.trees.render(key);
    for (const name of ['a/x', 'a.c', 'd']) rmSync(path.join(rootfs, name));
    mkdirSync(`${rootfs}/a/n`);
    for (const name of ['a/n/1', 'a/y', 'a/x.1', '0\n\x1b[31m']) writeFileSync(path.join(rootfs, name), '');
    const named: string[] = [];
    await the.trees.rebuild(key, (differences) => {
      for (const difference of differences) named.push(differenceText(difference));
    });
    assert.deepEqual(named.sort(), [
      'rootfs/0\\n\\x1b[31m: extra',
      'rootfs/a.c: missing',
      'rootfs/a/n/1: extra',
      'rootfs/a/n: extra',
      'rootfs/a/x.1: extra',
      'rootfs/a/x: missing',
      'rootfs/a/y: extra',
      'rootfs/d: missing',
    ]);
  });

  it('does not keep a tree that is damaged and cannot be made again', async () => {
    const key = await the.add({}, FILES);
    const { rootfs } = await the.trees.render(key);
    rmSync(`${rootfs}/etc/passwd`);
    rmSync(the.store.blobPath(key));
    await assert.rejects(the.trees.rebuild(key), /is not in the store/);
    assert.deepEqual(the.trees.list(), []);
    assert.deepEqual(readdirSync(path.join(the.data, 'cas/tmp')), []);
  });

  it('begins anew where a render was interrupted', async () => {
    const key = await the.add({}, FILES);
    const { id, rootfs } = await the.trees.render(key);
    rmSync(path.join(the.trees.path(id), 'rendered'));
    writeFileSync(`${rootfs}/stale`, '');
    await the.trees.render(key);
    assert.ok(!existsSync(`${rootfs}/stale`));
    assert.deepEqual(await the.trees.check(id), { state: 'good' });
  });

  it('notices a blob that was changed, and leaves no tree of it', async () => {
    const key = await the.add({}, [{ path: 'x', content: 'original' }]);
    const blob = the.store.blobPath(key);
    writeFileSync(blob, readFileSync(blob, 'latin1').replace('original', 'modified'), 'latin1');
    await assert.rejects(the.trees.render(key), /image hash does not match expected/);
    assert.deepEqual(the.trees.list(), []);
    rmSync(blob);
    await assert.rejects(the.trees.render(key), /is not in the store/);
  });

  it('takes over what was unpacked while the image was read', async () => {
    const { path: file, key } = the.write({}, FILES);
    const staged = await the.trees.stage();
    await the.import(file, { rootfs: staged.writer, sync: () => staged.complete() });
    await the.trees.adopt(staged, key);
    const { id } = await the.trees.render(key);
    assert.deepEqual(await the.trees.check(id), { state: 'good' });
    const adopted = readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8');
    await the.trees.rebuild(key);
    assert.equal(readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8'), adopted);
    assert.deepEqual(readdirSync(path.join(the.data, 'cas/tmp')), []);
  });

  it('drops what was unpacked of an image that needs others', async () => {
    await the.add({ name: 'example.com/base' }, [{ path: 'base', content: '' }]);
    const { path: file, key } = the.write({ dependencies: [{ imageName: 'example.com/base' }] }, FILES);
    const staged = await the.trees.stage();
    await the.import(file, { rootfs: staged.writer, sync: () => staged.complete() });
    await the.trees.adopt(staged, key);
    assert.deepEqual(readdirSync(path.join(the.data, 'cas/tmp')), []);
    assert.deepEqual(the.trees.list(), []);
    assert.ok(existsSync(path.join((await the.trees.render(key)).rootfs, 'base')));
  });

  describe('with dependencies', () => {
    const plain = (...names: string[]): AciFile[] => names.map((name) => ({ path: name, content: name }));
    const listed = async (key: string): Promise<string[]> => namesBelow((await the.trees.render(key)).rootfs);

    it('applies whitelists as Go rkt does, leak to later siblings included', async () => {
      await the.add({ name: 'example.com/d' }, plain('d', 'e'));
      await the.add(
        {
          name: 'example.com/c',
          dependencies: [{ imageName: 'example.com/d' }],
          pathWhitelist: ['/c', '/d'],
        },
        plain('c', 'x'),
      );
      await the.add({ name: 'example.com/b' }, plain('b', 'x'));
      const key = await the.add(
        {
          name: 'example.com/a',
          dependencies: [{ imageName: 'example.com/b' }, { imageName: 'example.com/c' }],
        },
        plain('a'),
      );
      assert.deepEqual(await listed(key), ['a', 'c', 'd']);
    });
    it('lets upper images cover lower ones', async () => {
      await the.add({ name: 'example.com/base' }, [
        { path: 'etc/', type: 'directory', mode: 0o700 },
        { path: 'etc/passwd', content: 'base' },
        { path: 'etc/group', content: 'base' },
        { path: 'opt/', type: 'directory' },
        { path: 'opt/x', content: 'base' },
      ]);
      const key = await the.add({ dependencies: [{ imageName: 'example.com/base' }] }, [
        { path: 'etc/', type: 'directory', mode: 0o711 },
        { path: 'etc/passwd', content: 'top' },
        { path: 'opt', content: 'a file hides the directory' },
      ]);
      const { rootfs } = await the.trees.render(key);
      assert.deepEqual(await listed(key), ['etc', 'etc/group', 'etc/passwd', 'opt']);
      assert.equal(readFileSync(`${rootfs}/etc/passwd`, 'utf8'), 'top');
      assert.equal(statSync(`${rootfs}/etc`).mode & 0o7777, 0o711);
    });
    it('renders an image that comes twice once', async () => {
      const base = await the.add({ name: 'example.com/base' }, plain('base'));
      for (const name of ['example.com/l', 'example.com/r']) {
        await the.add(
          { name, dependencies: [{ imageName: 'example.com/base', imageID: base }] },
          plain(name.slice(-1)),
        );
      }
      const key = await the.add({
        dependencies: [{ imageName: 'example.com/l' }, { imageName: 'example.com/r' }],
      });
      assert.deepEqual(await listed(key), ['base', 'l', 'r']);
    });
    it('refuses cycles and says what is missing', async () => {
      await the.add({ name: 'example.com/a', dependencies: [{ imageName: 'example.com/b' }] });
      const key = await the.add({ name: 'example.com/b', dependencies: [{ imageName: 'example.com/a' }] });
      await assert.rejects(the.trees.render(key), /dependency cycle/);
      const missing = await the.add({
        name: 'example.com/c',
        dependencies: [{ imageName: 'example.com/none' }],
      });
      await assert.rejects(
        the.trees.render(missing),
        /cannot find dependency "example.com\/none" of image "example.com\/c"/,
      );
      assert.deepEqual(the.trees.list(), []);
    });
    it('keeps nothing but directories when the whitelist names nothing that is there', async () => {
      const key = await the.add({ pathWhitelist: ['/none', '/../etc/passwd/../shadow'] }, FILES);
      assert.deepEqual(await listed(key), ['bin', 'etc']);
    });
  });

  describe('outside of the store', () => {
    it('renders with owners shifted into a range', async () => {
      const key = await the.add({}, [...FILES, { path: 'own', content: '', uid: 5, gid: 6 }]);
      const pod = the.tmp.join('pod');
      mkdirSync(pod);
      await the.trees.renderInto(key, pod, { uidShift: 131_072, gidShift: 65_536 });
      const own = lstatSync(`${pod}/rootfs/own`);
      assert.deepEqual([own.uid, own.gid], [131_077, 65_542]);
      for (const name of ['', 'etc', 'lib', 'pipe', 'null'])
        assert.equal(lstatSync(`${pod}/rootfs/${name}`).uid, 131_072);
      assert.deepEqual(
        JSON.parse(readFileSync(`${pod}/manifest`, 'utf8')),
        JSON.parse(the.store.readManifestText(key)),
      );
    });
    it('refuses owners outside of the range', async () => {
      const key = await the.add({}, [{ path: 'x', content: '', uid: 70_000 }]);
      mkdirSync(the.tmp.join('pod'));
      await assert.rejects(
        the.trees.renderInto(key, the.tmp.join('pod'), { uidShift: 65_536, gidShift: 65_536 }),
        /uid 70000 is not in the range 0 to 65535/,
      );
    });
    it('takes a tree that is there, and is the same as unpacked', async () => {
      const key = await the.add({}, FILES);
      for (const name of ['unpacked', 'copied']) mkdirSync(the.tmp.join(name));
      await the.trees.renderInto(key, the.tmp.join('unpacked'));
      const { id } = await the.trees.render(key);
      // Who can see that it is not read again: nothing of it is there any more.
      writeFileSync(the.store.blobPath(key), '');
      await the.trees.renderInto(key, the.tmp.join('copied'));
      const [unpacked, copied] = ['unpacked', 'copied'].map((name) => the.tmp.join(name)) as [string, string];
      const wanted = { directory: unpacked, digests: new Map() };
      assert.deepEqual([...compareTrees(copied, wanted, openKernel(), () => false)], []);
      assert.ok(namesBelow(copied).includes('rootfs/bin/bash'));
      assert.ok(the.trees.isRendered(id));
    });
    it('copies a tree with all its files are', async () => {
      const { id } = await the.trees.render(await the.add({}, FILES));
      const copy = the.trees.path('copy');
      await the.trees.copyRootfs(id, path.join(copy, 'rootfs'));
      writeFileSync(path.join(copy, 'hash'), readFileSync(path.join(the.trees.path(id), 'hash')));
      assert.deepEqual(await the.trees.check('copy'), { state: 'good' });
      const [source, target] = [id, 'copy'].map((tree) =>
        lstatSync(path.join(the.trees.rootfs(tree), 'sparse')),
      );
      assert.equal(target?.blocks, source?.blocks);
      assert.equal(target?.mtimeMs, source?.mtimeMs);
    });
  });
});

describe('short SHA-512', () => {
  it('is SHA-512', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        assert.equal(shortSha512(text), hash('sha512', text));
      }),
    );
    for (const length of [0, 1, 111, 112, 113, 127, 128, 129, 240, 256]) {
      const text = 'x'.repeat(length);
      assert.equal(shortSha512(text), hash('sha512', text), String(length));
    }
  });
});
