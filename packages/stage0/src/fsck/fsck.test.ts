// Everything in the stores is broken in turn, found, repaired and healed (design: hostile inputs 55).

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { casTmpDir, dbFile, imageManifestFile, layerFile } from '@rkt/pod-layout/data-dir';
import type { AciFile } from '@rkt/testkit/aci-builder';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { TestStore } from '../store/testing/test-store.ts';
import type { Finding } from './finding.ts';
import { checkStores } from './fsck.ts';

const FILES: readonly AciFile[] = [
  { path: 'etc/conf', content: 'setting\n' },
  { path: 'etc/other', content: 'x'.repeat(3000) },
  { path: 'bin/sh', type: 'symlink', linkname: 'busybox' },
];

describe('fsck', () => {
  let the: TestStore;
  let image: { path: string; key: string };
  let treeDir = '';
  let used: ReadonlySet<string> = new Set();
  beforeEach(async function () {
    if (process.getuid?.() !== 0) this.skip();
    the = new TestStore();
    used = new Set();
    image = the.write({ name: 'example.com/app', version: '1.0' }, FILES);
    await the.import(image.path);
    await the.add({ name: 'example.com/base' }, [{ path: 'base', content: 'b' }]);
    treeDir = the.trees.path((await the.trees.render(image.key)).id);
  });
  afterEach(() => the?.[Symbol.dispose]());

  const check = async (repair = false, keys?: ReadonlySet<string>): Promise<Finding[]> => {
    const found: Finding[] = [];
    const stores = {
      data: the.data,
      store: the.store,
      treeStore: the.trees,
      withUnusedTrees: (work: (isUsed: (id: string) => boolean) => Promise<void>) =>
        work((id) => used.has(id)),
    };
    for await (const each of checkStores(stores, keys, { repair })) found.push(each);
    return found;
  };
  const objects = (found: readonly Finding[]): string[] => found.map(({ object }) => object);
  /** What must hold of every kind of damage. */
  const heals = async (expected: readonly string[], problem: RegExp): Promise<void> => {
    const found = await check();
    assert.deepEqual(objects(found), expected);
    for (const each of found) assert.match(each.problem, problem);
    assert.deepEqual(objects(await check()), expected, 'looking changes nothing');
    const repaired = await check(true);
    assert.deepEqual(objects(repaired), expected);
    for (const each of repaired) assert.ok(each.repaired !== undefined, each.object);
    assert.deepEqual(await check(), [], 'whole after the repair');
    await the.import(image.path);
    const { rootfs } = await the.trees.render(image.key);
    assert.equal(readFileSync(path.join(rootfs, 'etc/conf'), 'utf8'), 'setting\n');
    assert.equal(the.store.findByName('example.com/app', [{ name: 'version', value: '1.0' }]), image.key);
    assert.deepEqual(await check(), [], 'whole after the next import');
  };

  const flip = (file: string, at: number, mask = 1): void => {
    const bytes = readFileSync(file);
    bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ mask;
    const { atimeMs, mtimeMs } = process.getBuiltinModule('node:fs').statSync(file);
    writeFileSync(file, bytes);
    // As a disk does it: without a trace in the times.
    utimesSync(file, atimeMs / 1000, mtimeMs / 1000);
  };
  const blob = (): string => the.store.blobPath(image.key);
  const manifest = (): string => imageManifestFile(the.data, image.key);
  const treeName = (): string => `tree ${path.basename(treeDir)}`;

  it('finds nothing in whole stores, and in empty ones', async () => {
    assert.deepEqual(await check(), []);
    for (const { key } of the.store.list()) the.store.remove(key);
    assert.deepEqual(await check(), [], 'a tree may outlive its image');
    await the.trees.remove(path.basename(treeDir));
    assert.deepEqual(await check(), []);
  });

  it('finds any bit of a blob, and drops the image', async () => {
    const size = readFileSync(blob()).length;
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), fc.constantFrom(1, 2, 64, 128), async (at, mask) => {
        flip(blob(), at, mask);
        await heals([`blob ${image.key}`], /./);
      }),
      { numRuns: runs(25) },
    );
  });

  it('finds any bit of a manifest, and restores it', async () => {
    const size = readFileSync(manifest()).length;
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), fc.constantFrom(1, 2, 64, 128), async (at, mask) => {
        flip(manifest(), at, mask);
        // A row that was made of the manifest says the same as the image still.
        await heals([`manifest ${image.key}`], /it is not the manifest in the image/);
      }),
      { numRuns: runs(25) },
    );
  });

  const TREE_DAMAGE: Record<string, readonly [() => void, RegExp]> = {
    'a bit of a file': [() => flip(`${treeDir}/rootfs/etc/conf`, 3), /^wrong tree hash: /],
    'a mode': [() => chmodSync(`${treeDir}/rootfs/etc/conf`, 0o600), /^wrong tree hash: /],
    'a file more': [() => writeFileSync(`${treeDir}/rootfs/new`, ''), /^wrong tree hash: /],
    'a file less': [() => rmSync(`${treeDir}/rootfs/etc/other`), /^wrong tree hash: /],
    'a link': [
      () => {
        rmSync(`${treeDir}/rootfs/bin/sh`);
        symlinkSync('bash', `${treeDir}/rootfs/bin/sh`);
      },
      /^wrong tree hash: /,
    ],
    'a bit of the hash': [() => flip(`${treeDir}/hash`, 20), /^wrong tree hash: /],
    'no hash': [() => rmSync(`${treeDir}/hash`), /its hash is missing/],
    'no root': [() => rmSync(`${treeDir}/rootfs`, { recursive: true }), /^wrong tree hash: /],
    'a bit of the manifest': [() => flip(`${treeDir}/manifest`, 30), /its manifest is not that of its image/],
    'no manifest': [() => rmSync(`${treeDir}/manifest`), /its manifest is not that of its image/],
    'a bit of the name of its image': [
      () => flip(`${treeDir}/image`, 2),
      /it does not say which image it is of/,
    ],
    'no mark': [() => rmSync(`${treeDir}/rendered`), /it was never finished/],
  };
  for (const [what, [damage, problem]] of Object.entries(TREE_DAMAGE)) {
    it(`finds a tree with ${what}, and drops it`, async () => {
      damage();
      await heals([treeName()], problem);
    });
  }

  it('leaves a damaged tree to the pod that uses it, and says so', async () => {
    flip(`${treeDir}/rootfs/etc/conf`, 3);
    used = new Set([path.basename(treeDir)]);
    const [found] = await check(true);
    assert.equal(found?.repaired, undefined);
    assert.match(found?.obstacle ?? '', /a pod uses it/);
    assert.ok(existsSync(treeDir));
  });

  it('finds files that are missing', async () => {
    rmSync(blob());
    await heals([`blob ${image.key}`], /its file is missing/);
    rmSync(manifest());
    await heals([`manifest ${image.key}`], /its file is missing/);
    rmSync(manifest());
    rmSync(blob());
    await heals([`row ${image.key}`], /its file is missing/);
  });

  it('finds files that are cut, longer, or no files', async () => {
    appendFileSync(blob(), '\0'.repeat(512));
    await heals([`blob ${image.key}`], /image hash does not match expected/);
    writeFileSync(blob(), '');
    await heals([`blob ${image.key}`], /empty archive/);
    rmSync(manifest());
    mkdirSync(manifest());
    assert.match((await check(true))[0]?.obstacle ?? '', /^cannot be repaired: .*directory/);
    rmSync(manifest(), { recursive: true });
    await heals([`manifest ${image.key}`], /its file is missing/);
  });

  const sql = (statement: string): void => {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    const db = new DatabaseSync(dbFile(the.data));
    db.exec(statement);
    db.close();
  };

  it('finds rows that do not tell the truth, and keeps what only they know', async () => {
    sql(`UPDATE aciinfo SET latest = 1 WHERE blobkey = '${image.key}'`);
    const before = the.store.findRow(image.key);
    for (const [change, problem] of [
      [
        "name = 'example.com/apq'",
        /it says the name is "example.com\/apq", the image says "example.com\/app"/,
      ],
      ["version = '1.1'", /it says the version is "1.1", the image says "1.0"/],
      ['size = size + 1', /it says \d+ bytes, the image has \d+/],
    ] as const) {
      sql(`UPDATE aciinfo SET ${change} WHERE blobkey = '${image.key}'`);
      const found = await check(true);
      assert.deepEqual(objects(found), [`row ${image.key}`]);
      assert.match(found[0]?.problem ?? '', problem);
      assert.deepEqual(the.store.findRow(image.key), before);
    }
  });

  it('finds images without a row, and rows without an image', async () => {
    sql(`DELETE FROM aciinfo WHERE blobkey = '${image.key}'`);
    await heals([`row ${image.key}`], /the database does not have it/);
    const other = `sha512-${'e'.repeat(64)}`;
    sql(`UPDATE aciinfo SET blobkey = '${other}' WHERE blobkey = '${image.key}'`);
    assert.deepEqual(objects(await check(true)).sort(), [`row ${image.key}`, `row ${other}`].sort());
    assert.deepEqual(await check(), []);
  });

  it('finds what leads to no image', async () => {
    const key = `sha512-${'e'.repeat(64)}`;
    the.store.writeRemote({
      url: 'https://example.com/\x1b[31m.aci',
      signatureUrl: '',
      etag: '',
      key,
      maxAgeSeconds: 0,
      downloadTime: 0,
    });
    sql(`INSERT INTO file VALUES (1, 2, 3, 4, 5, '${key}')`);
    sql(`INSERT INTO madeof VALUES ('${key}', 'sha256:0')`);
    const found = await check(true);
    assert.deepEqual(objects(found), ['remote https://example.com/\\x1b[31m.aci', 'file 1', 'layers 1']);
    assert.match(found[0]?.problem ?? '', new RegExp(`its image ${key} is not there`));
    assert.deepEqual(await check(), []);
  });

  it('finds a damaged database, and makes it again from the images', async () => {
    for (const damage of [
      () => flip(dbFile(the.data), 3, 0xff),
      () => writeFileSync(dbFile(the.data), 'garbage'.repeat(2000)),
      // A page of an index.
      () => {
        const bytes = readFileSync(dbFile(the.data));
        bytes.fill(0xff, 4096, 4096 + 100);
        writeFileSync(dbFile(the.data), bytes);
      },
    ]) {
      damage();
      const found = await check();
      assert.deepEqual(objects(found), ['database']);
      assert.deepEqual(objects(await check(true)), ['database']);
      assert.deepEqual(await check(), []);
      assert.equal(the.store.list().length, 2);
    }
  });

  it('finds strays and what killed commands left, but not downloads that can be resumed', async () => {
    const put = (file: string): void => {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, 'x');
      utimesSync(file, 1, 1);
    };
    const elsewhere = path.join(path.dirname(blob()), '..', '00', path.basename(blob()));
    for (const file of [
      elsewhere,
      path.join(path.dirname(blob()), 'x\ny'),
      path.join(casTmpDir(the.data), 'import-1'),
      path.join(casTmpDir(the.data), 'sha512-abc'),
    ]) {
      put(file);
    }
    put(path.join(the.data, 'cas/tree/junk/file'));
    put(path.join(the.data, 'cas/blob/sha512/plain'));
    const expected = [
      `stray cas/blob/sha512/00/${image.key}`,
      `stray cas/blob/sha512/${image.key.slice(7, 9)}/x\\ny`,
      'stray cas/blob/sha512/plain',
      'scratch import-1',
      'tree "junk"',
    ].sort();
    assert.deepEqual(objects(await check()).sort(), expected);
    assert.deepEqual(objects(await check(true)).sort(), expected);
    assert.deepEqual(await check(), []);
    assert.ok(existsSync(path.join(casTmpDir(the.data), 'sha512-abc')));
  });

  it('looks only at the images it is asked about', async () => {
    flip(blob(), 2000);
    const other = the.store.findByName('example.com/base', []);
    assert.deepEqual(await check(false, new Set([other])), []);
    assert.deepEqual(objects(await check(false, new Set([image.key]))), [`blob ${image.key}`]);
    flip(`${treeDir}/rootfs/etc/conf`, 1);
    assert.deepEqual(objects(await check(false, new Set([image.key]))), [`blob ${image.key}`, treeName()]);
    assert.deepEqual(await check(false, new Set([other])), []);
  });

  it('finds layers that are not what their digest says', async () => {
    const digest = `sha256:${hash('sha256', 'layer')}`;
    const file = layerFile(the.data, digest);
    const bad = path.join(path.dirname(file), 'short');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, 'layer');
    assert.deepEqual(await check(), []);
    flip(file, 2);
    writeFileSync(bad, '');
    const expected = [`layer ${digest}`, `stray ${path.relative(the.data, bad)}`];
    assert.deepEqual(objects(await check()).sort(), expected);
    assert.deepEqual(objects(await check(true)).sort(), expected);
    assert.ok(!existsSync(file));
    assert.deepEqual(await check(), []);
  });

  it('finds a blob under the name of another', async () => {
    const other = the.store.findByName('example.com/base', []);
    renameSync(the.store.blobPath(other), blob());
    assert.deepEqual(objects(await check()).sort(), [`blob ${image.key}`, `blob ${other}`].sort());
  });

  it('does not count as a use of what it looks at', async () => {
    const before = the.store.list();
    await check(true);
    assert.deepEqual(the.store.list(), before);
  });
});
