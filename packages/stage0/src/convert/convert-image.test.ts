// Images of layers become images of the store. Runs in the test process.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { errorChain } from '@rkt/diagnostics/rkt-error';
import { createLogger } from '@rkt/diagnostics/logger';
import { casTmpDir, layerFile } from '@rkt/pod-layout/data-dir';
import { imageIds } from '@rkt/testkit/aci-builder';
import { paxEntry, paxRecord, rawArchive, rawEntry } from '@rkt/testkit/raw-tar';

import { TestStore } from '../store/testing/test-store.ts';
import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { convertImage, type ConvertOptions } from './convert-image.ts';
import { removeUnusedLayers } from './layer-store.ts';
import { layerTar, type TestImage, testImage } from './testing/test-image.ts';

const BASE = layerTar([
  { name: 'etc/', type: 'directory', mode: 0o750 },
  { name: 'etc/conf', content: 'old', mode: 0o640, uid: 3, gid: 4 },
  { name: 'etc/gone', content: 'x' },
  { name: 'bin/', type: 'directory' },
  { name: 'bin/tool', content: 'tool', mode: 0o4755, xattrs: { 'user.a': 'b' } },
  { name: 'bin/alias', type: 'hardlink', link: 'bin/tool' },
]);
const TOP = layerTar([
  { name: 'etc/conf', content: 'new' },
  { name: 'etc/.wh.gone' },
  { name: 'bin/.wh.tool' },
  { name: 'bin/sym', type: 'symlink', link: '/bin/alias' },
]);

describe('conversion of layers', () => {
  let the: TestStore;
  beforeEach(() => {
    the = new TestStore();
  });
  afterEach(() => the[Symbol.dispose]());

  const convert = (image: TestImage, options?: ConvertOptions): Promise<string> =>
    convertImage(
      { store: the.store, treeStore: the.trees, logger: createLogger({ prefix: 'test' }) },
      image,
      options,
    );
  const isRefused = async (image: TestImage, expected: { code?: string; message: RegExp }): Promise<void> => {
    await assert.rejects(convert(image), (error) => {
      const chain = errorChain(error);
      assert.equal(chain[0]?.message, 'error converting docker image to ACI');
      assert.match(chain.at(-1)?.message ?? '', expected.message);
      if (expected.code !== undefined) assert.equal((chain.at(-1) as { code?: string }).code, expected.code);
      return true;
    });
    assert.deepEqual(readdirSync(casTmpDir(the.data)), []);
    assert.deepEqual(the.store.list(), []);
    assert.deepEqual(the.trees.list(), []);
  };
  const names = (key: string): string[] =>
    execFileSync('tar', ['-tf', the.store.blobPath(key)], { encoding: 'utf8' })
      .trim()
      .split('\n');

  it('makes one image that is what its ID says, in the order of the contract', async () => {
    const key = await convert(testImage([BASE, TOP]));
    assert.equal(imageIds(readFileSync(the.store.blobPath(key))).key, key);
    assert.deepEqual(
      names(key).filter((name) => !name.startsWith('rootfs/dev')),
      [
        'manifest',
        'rootfs/',
        'rootfs/etc/',
        'rootfs/etc/conf',
        'rootfs/bin/',
        'rootfs/bin/sym',
        'rootfs/bin/alias',
      ],
    );
    const [row] = the.store.list();
    assert.equal(row?.name, 'registry.test/a/b');
    assert.equal(row?.sizeBytes, statSync(the.store.blobPath(key)).size);
  });

  it('makes the tree in the same pass, the same as the image gives', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const key = await convert(testImage([BASE, TOP]));
    const id = the.trees.idOf(key);
    assert.ok(the.trees.isRendered(id));
    assert.deepEqual(await the.trees.check(id), { state: 'good' });
    const hash = readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8');
    const rootfs = (name: string): string => path.join(the.trees.rootfs(id), name);
    assert.equal(readFileSync(rootfs('etc/conf'), 'utf8'), 'new');
    assert.equal(existsSync(rootfs('etc/gone')), false);
    assert.equal(readFileSync(rootfs('bin/alias'), 'utf8'), 'tool');
    assert.equal(statSync(rootfs('bin/alias')).nlink, 1);
    assert.equal(statSync(rootfs('bin/alias')).mode & 0o7777, 0o4755);
    assert.equal(readlinkSync(rootfs('dev/stdout')), '/dev/console');
    assert.equal(lstatSync(rootfs('etc')).mode & 0o7777, 0o750);
    await the.trees.rebuild(key);
    assert.equal(readFileSync(path.join(the.trees.path(id), 'hash'), 'utf8'), hash);
  });

  it('gives every file its own content, however large the layer', async () => {
    const files = Array.from({ length: 60 }, (_, index) => ({
      name: `f${index}`,
      content: randomBytes((index * 77_777) % 1_500_000),
    }));
    for (const compression of ['gzip', 'zstd', 'none'] as const) {
      const key = await convert(
        testImage([layerTar(files), BASE], { compression, reference: { tag: compression } }),
      );
      const out = the.tmp.join(compression);
      execFileSync('mkdir', [out]);
      execFileSync('tar', ['-C', out, '--no-same-owner', '-xf', the.store.blobPath(key)]);
      for (const { name, content } of files)
        assert.ok(readFileSync(path.join(out, 'rootfs', name)).equals(content), `${compression} ${name}`);
    }
  });

  it('gives the same ID whether a tree is made or not, and however layers are compressed', async () => {
    const keys = new Set([await convert(testImage([BASE, TOP]), { unpack: false })]);
    const manifestDigest = testImage([BASE, TOP]).manifestDigest;
    const imageid = testImage([BASE, TOP]).layers.at(-1);
    the.store.remove([...keys][0] ?? '');
    keys.add(await convert(testImage([BASE, TOP])));
    for (const compression of ['zstd', 'none'] as const) {
      const image = testImage([BASE, TOP], { compression });
      // Only what the manifest tells of the layers differs.
      const key = await convert({ ...image, manifestDigest });
      const text = the.store
        .readManifestText(key)
        .replace(image.layers.at(-1)?.digest ?? '', imageid?.digest ?? '');
      assert.equal(text, the.store.readManifestText([...keys][0] ?? ''));
    }
    assert.equal(keys.size, 1);
  });

  it('is marked latest with the tag latest only', async () => {
    const key = await convert(testImage([BASE], { reference: { tag: 'latest' } }));
    assert.equal(the.store.list().find((row) => row.key === key)?.latest, true);
    const other = await convert(testImage([BASE], { reference: { tag: '1' } }));
    assert.equal(the.store.list().find((row) => row.key === other)?.latest, false);
  });

  it('keeps owners, modes, times, attributes, devices and long names', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const long = `${'d'.repeat(120)}/${'f'.repeat(200)}`;
    const key = await convert(
      testImage([
        layerTar([
          { name: long, content: 'long', mtime: 12345, uid: 70000, gid: 5 },
          { name: 'null', type: 'char', mode: 0o666 },
          { name: 'pipe', type: 'fifo' },
          {
            name: 'attr',
            content: 'x',
            xattrs: { 'user.x': 'y', 'user.overlay.opaque': 'y', 'trusted.overlay.x': 'y' },
          },
        ]),
      ]),
    );
    const rootfs = the.trees.rootfs(the.trees.idOf(key));
    const stats = statSync(path.join(rootfs, long));
    assert.deepEqual([stats.uid, stats.gid, stats.mtimeMs], [70000, 5, 12345_000]);
    assert.ok(lstatSync(path.join(rootfs, 'null')).isCharacterDevice());
    assert.ok(lstatSync(path.join(rootfs, 'pipe')).isFIFO());
    const blob = readFileSync(the.store.blobPath(key), 'latin1');
    assert.ok(blob.includes('SCHILY.xattr.user.x=y'));
    assert.ok(!blob.includes('overlay'));
  });

  it('keeps the holes of sparse files', async () => {
    const records = [
      paxRecord('GNU.sparse.size', '5000000'),
      paxRecord('GNU.sparse.numblocks', '1'),
      paxRecord('GNU.sparse.map', '4000000,3'),
    ];
    const tar = rawArchive([paxEntry(records), rawEntry({ name: 'sparse' }, 'abc')]);
    const key = await convert(testImage([tar]));
    assert.ok(statSync(the.store.blobPath(key)).size < 100_000);
    const out = the.tmp.join('out');
    await the.trees.renderInto(key, (execFileSync('mkdir', [out]), out));
    const content = readFileSync(path.join(out, 'rootfs/sparse'));
    assert.equal(content.length, 5_000_000);
    assert.equal(content.toString('latin1', 4_000_000, 4_000_004), 'abc\0');
  });

  it('takes names with a slash in front as relative, and refuses those that lead out', async () => {
    const tar = layerTar([
      { name: '/etc/x' },
      { name: './etc/y', type: 'hardlink', link: '/etc/x' },
      { name: './', type: 'directory' },
    ]);
    const key = await convert(testImage([tar]));
    assert.deepEqual(
      names(key).filter((name) => name.includes('etc')),
      ['rootfs/etc/', 'rootfs/etc/x', 'rootfs/etc/y'],
    );
    the.store.remove(key);
    await the.trees.remove(the.trees.list()[0] ?? '');
    await isRefused(testImage([layerTar([{ name: '../etc/x' }])]), {
      code: 'unsafe-entry',
      message: /leads outside/,
    });
    const link = { name: 'x', type: 'hardlink', link: '../../etc/shadow' } as const;
    await isRefused(testImage([layerTar([link])]), { code: 'unsafe-entry', message: /leads outside/ });
  });

  it('refuses an image without layers, and takes empty ones for what they are', async () => {
    await isRefused(testImage([]), { message: /^backend image had no useful layers: not creating ACI$/ });
    const key = await convert(testImage([BASE, Buffer.alloc(0), layerTar([])]));
    assert.ok(names(key).includes('rootfs/etc/conf'));
    const empty = testImage([Buffer.alloc(0)], { compression: 'none' });
    assert.ok(names(await convert(empty)).includes('rootfs/dev/'));
  });

  it('refuses a /dev that is no directory', async () => {
    const tar = layerTar([{ name: 'dev', type: 'symlink', link: '/tmp' }]);
    await isRefused(testImage([BASE, tar]), { message: /^invalid layer: "\/dev" is not a directory$/ });
  });

  it('refuses content that is not what the config says', async () => {
    const wrong = `sha256:${'0'.repeat(64)}`;
    await isRefused(testImage([BASE, TOP], { diffIds: [wrong, wrong] }), {
      code: 'digest-mismatch',
      message: /^layer sha256:\w+ holds sha256:\w+, but the image config says sha256:0+$/,
    });
  });

  it('refuses layers that are cut, damaged or too large', async () => {
    await isRefused(testImage([BASE.subarray(0, BASE.length - 1024)]), {
      code: 'bad-archive',
      message: /cut/,
    });
    await isRefused(testImage([Buffer.from('no archive'.repeat(100))]), {
      code: 'bad-archive',
      message: /./,
    });
    const image = testImage([BASE, TOP]);
    const limits = { ...DEFAULT_LIMITS, maxEntries: 9 };
    await assert.rejects(convert(image, { limits }), /error converting/);
    await convert(image, { limits: { ...limits, maxEntries: 20 } });
  });

  it('merges a thousand layers', async function () {
    this.timeout(60_000);
    const tars = Array.from({ length: 1000 }, (_, index) =>
      layerTar([
        { name: `f${index}`, content: String(index) },
        { name: 'same', content: `${index}` },
      ]),
    );
    const key = await convert(testImage(tars));
    const listed = names(key);
    assert.equal(listed.filter((name) => name.startsWith('rootfs/f')).length, 1000);
    const same = execFileSync('tar', ['-xOf', the.store.blobPath(key), 'rootfs/same'], { encoding: 'utf8' });
    assert.equal(same, '999');
  });

  describe('and what is known of them', () => {
    it('asks for no layer twice', async () => {
      const first = testImage([BASE, TOP]);
      await convert(first);
      assert.equal(first.opened.length, 2);
      const second = testImage([BASE, layerTar([{ name: 'more' }])]);
      await convert(second);
      assert.deepEqual(second.opened, [second.layers[1]?.digest]);
      const twice = testImage([TOP, TOP, layerTar([{ name: 'twice' }])]);
      await convert(twice);
      assert.deepEqual(twice.opened, [twice.layers[2]?.digest]);
    });

    it('makes another image of the same layers from the one that is there', async () => {
      const key = await convert(testImage([BASE, TOP]));
      const again = testImage([BASE, TOP], { reference: { tag: '2' } });
      for (const { digest } of again.layers) writeFileSync(layerFile(the.data, digest), 'damaged');
      const other = await convert(again);
      assert.notEqual(other, key);
      assert.deepEqual(again.opened, []);
      assert.deepEqual(names(other), names(key));
      // The very image that its layers would have made.
      the.store.remove(other);
      the.store.remove(key);
      assert.equal(await convert(testImage([BASE, TOP], { reference: { tag: '2' } })), other);
    });

    it('notices a stored layer, and a stored image, that is not what it was', async () => {
      const image = testImage([BASE, TOP]);
      const key = await convert(image);
      const expected = names(key);
      const blob = the.store.blobPath(key);
      const bytes = readFileSync(blob);
      bytes[bytes.length - 3000] = 0x21;
      writeFileSync(blob, bytes);
      const [base = ''] = image.layers.map(({ digest }) => digest);
      const layer = readFileSync(layerFile(the.data, base));
      layer[100] = (layer[100] ?? 0) ^ 1;
      writeFileSync(layerFile(the.data, base), layer);
      const again = testImage([BASE, TOP], { reference: { tag: '2' } });
      assert.deepEqual(names(await convert(again)), expected);
      assert.deepEqual(again.opened, [base]);
    });

    it('goes with the last image that was made of them', async () => {
      const image = testImage([BASE, TOP]);
      const [base = '', top = ''] = image.layers.map(({ digest }) => layerFile(the.data, digest));
      const key = await convert(image);
      const other = await convert(testImage([BASE]));
      the.store.remove(key);
      assert.deepEqual([existsSync(base), existsSync(top)], [true, false]);
      the.store.remove(other);
      assert.equal(existsSync(base), false);
    });

    it('is collected when no image was made of it, in time', async () => {
      const wrong = `sha256:${'0'.repeat(64)}`;
      const image = testImage([BASE], { diffIds: [wrong] });
      const used = testImage([TOP]);
      await convert(used);
      await assert.rejects(convert(image));
      const files = [image, used].map(({ layers }) => layerFile(the.data, layers[0]?.digest ?? ''));
      const exist = (): boolean[] => files.map((file) => existsSync(file));
      removeUnusedLayers(the.data, the.store.layersInUse(), 60_000);
      assert.deepEqual(exist(), [true, true]);
      removeUnusedLayers(the.data, the.store.layersInUse(), 60_000, Date.now() + 120_000);
      assert.deepEqual(exist(), [false, true]);
    });
  });
});
