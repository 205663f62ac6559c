import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { casTmpDir, dbBackupsDir, dbFile, imageLockFile, imageManifestFile } from '@rkt/pod-layout/data-dir';
import { writeAci } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { openStore } from './store.ts';
import { TestStore } from './testing/test-store.ts';

describe('image store', () => {
  let the: TestStore;
  beforeEach(() => {
    the = new TestStore();
  });
  afterEach(() => the[Symbol.dispose]());

  it('is made with the modes the group rkt needs, in an empty directory', () => {
    const modes = [
      'cas',
      'cas/db',
      'cas/tmp',
      'cas/imagelocks',
      'cas/blob/sha512',
      'cas/imageManifest/sha512',
    ].map((name) => statSync(path.join(the.data, name)).mode & 0o7777);
    assert.deepEqual(new Set(modes), new Set([0o2770]));
    assert.equal(statSync(path.join(the.data, 'cas/tree')).mode & 0o7777, 0o755);
    assert.deepEqual(the.store.list(), []);
  });

  it('keeps the uncompressed image and its manifest, under the hash of the former', async () => {
    for (const compression of ['none', 'gzip', 'bzip2', 'xz', 'zstd'] as const) {
      const description = { manifest: imageManifest({ name: `example.com/${compression}` }) };
      const plain = writeAci(the.tmp.join('plain.aci'), description);
      const packed = writeAci(the.tmp.join('packed.aci'), { ...description, compression });
      const key = await the.import(packed.path);
      assert.equal(key, plain.key);
      assert.ok(readFileSync(the.store.blobPath(key)).equals(readFileSync(plain.path)));
      assert.deepEqual(JSON.parse(the.store.readManifestText(key)), description.manifest);
      assert.equal(statSync(the.store.blobPath(key)).mode & 0o7777, 0o660);
      assert.equal(statSync(imageManifestFile(the.data, key)).mode & 0o7777, 0o660);
      assert.ok(existsSync(imageLockFile(the.data, key)));
    }
    assert.deepEqual(readdirSync(casTmpDir(the.data)), []);
    assert.equal(the.store.list().length, 5);
  });

  it('tells what is known of an image', async () => {
    const key = await the.add({ name: 'example.com/a' });
    const [info] = the.store.list();
    assert.equal(info?.key, key);
    assert.equal(info.name, 'example.com/a');
    assert.equal(info.sizeBytes, statSync(the.store.blobPath(key)).size);
    assert.equal(info.treeSizeBytes, 0);
    assert.equal(info.latest, false);
    assert.ok(info.lastUsed >= info.importTime);
    the.store.touch(key);
    assert.ok((the.store.list()[0]?.lastUsed ?? 0) > info.lastUsed);
  });

  it('describes an image without its manifest while that file is the one the row was made of', async () => {
    const key = await the.add({ name: 'example.com/a', version: '1.2' });
    // Each time as another process, which remembers no manifest.
    const describeImage = (): unknown => {
      using store = openStore(the.data, { logger: the.store.logger });
      return store.describe(store.list()[0] ?? assert.fail());
    };
    assert.deepEqual(describeImage(), { name: 'example.com/a', version: '1.2' });
    const file = imageManifestFile(the.data, key);
    const [text, { mtimeMs }] = [readFileSync(file, 'utf8'), statSync(file)];
    // Not read: the same size, the same time.
    writeFileSync(file, text.replace('example.com', 'EXAMPLE.COM'));
    utimesSync(file, mtimeMs / 1000, mtimeMs / 1000);
    assert.deepEqual(describeImage(), { name: 'example.com/a', version: '1.2' });
    writeFileSync(file, '{');
    assert.throws(describeImage, /is damaged/);
    rmSync(file);
    assert.throws(describeImage, /is damaged|not in the store/);
  });

  it('migrates the database of an older rkt, and keeps copies of it', async () => {
    const key = await the.add({ name: 'example.com/a', version: '1.2' });
    const row = the.store.list()[0];
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    for (let round = 0; round < 7; round += 1) {
      const db = new DatabaseSync(dbFile(the.data));
      for (const column of ['version', 'manifestsize', 'manifestmtime'])
        db.exec(`ALTER TABLE aciinfo DROP COLUMN ${column}`);
      db.exec(`PRAGMA user_version = 1; UPDATE aciinfo SET latest = ${round % 2}`);
      db.close();
      assert.deepEqual(the.store.list(), [{ ...row, latest: round % 2 === 1 }]);
    }
    assert.equal(the.store.findByName('example.com/a', []), key);
    const backups = dbBackupsDir(the.data);
    assert.deepEqual(readdirSync(backups).sort(), ['0', '1', '2', '3', '4']);
    const latest = ['0', '1'].map((number) => {
      const db = new DatabaseSync(path.join(backups, number, 'rkt.db'), { readOnly: true });
      const found = db.prepare('SELECT latest FROM aciinfo').get();
      db.close();
      return found?.['latest'];
    });
    assert.deepEqual(latest, [0, 1], 'the newest is first');
  });

  it('may import an image again', async () => {
    const { path: file } = the.write();
    const key = await the.import(file);
    the.store.setTreeSize(key, 500);
    const before = the.store.list()[0];
    assert.equal(await the.import(file), key);
    const after = the.store.list();
    assert.equal(after.length, 1);
    assert.ok((after[0]?.importTime ?? 0) > (before?.importTime ?? 0));
    assert.equal(after[0]?.treeSizeBytes, 500);
  });

  it('imports large images in a thread, to the same result', async () => {
    const content = Buffer.alloc(20_000_000, 'some content that is long ');
    const image = writeAci(the.tmp.join('large.aci'), {
      manifest: imageManifest(),
      files: [{ path: 'large', content }],
    });
    assert.ok(statSync(image.path).size > 4 * 1024 * 1024);
    assert.equal(await the.import(image.path), image.key);
    assert.ok(readFileSync(the.store.blobPath(image.key)).equals(readFileSync(image.path)));
    truncateSync(image.path, 15_000_000);
    await assert.rejects(the.import(image.path), /archive is cut/);
    assert.deepEqual(readdirSync(casTmpDir(the.data)), []);
  });

  it('leaves nothing behind of an image it refuses', async () => {
    const bad = {
      manifest: '{"acKind": "ImageManifest", "acVersion": "0.8.11"',
      kind: { ...imageManifest(), acKind: 'PodManifest' },
      name: { ...imageManifest(), name: undefined },
    };
    for (const [what, manifest] of Object.entries(bad)) {
      const { path: file } = writeAci(the.tmp.join(`${what}.aci`), { manifest });
      await assert.rejects(the.import(file), /error extracting image manifest/, what);
    }
    for (const [text, reason] of [
      ['', /empty image file/],
      ['text', /unknown image filetype/],
    ] as const) {
      writeFileSync(the.tmp.join('bad'), text);
      await assert.rejects(the.import(the.tmp.join('bad')), reason);
    }
    assert.deepEqual(the.store.list(), []);
    assert.deepEqual(readdirSync(casTmpDir(the.data)), []);
    assert.deepEqual(readdirSync(path.join(the.data, 'cas/blob/sha512')), []);
  });

  it('removes an image with all that leads to it', async () => {
    const key = await the.add();
    const url = 'http://example.com/a.aci';
    the.store.writeRemote({ url, signatureUrl: '', etag: 'e', key, maxAgeSeconds: 1, downloadTime: 2.5 });
    assert.deepEqual(the.store.findRemote(url), {
      url,
      signatureUrl: '',
      etag: 'e',
      key,
      maxAgeSeconds: 1,
      downloadTime: 2.5,
    });
    assert.deepEqual(the.store.remove(key), []);
    assert.equal(the.store.hasKey(key), false);
    assert.equal(the.store.findRemote(url), undefined);
    assert.deepEqual(the.store.list(), []);
    assert.throws(() => the.store.readManifest(key), /is not in the store/);
    assert.throws(() => the.store.openBlob(key), /is not in the store/);
  });

  describe('finding images by ID', () => {
    const files = ['sha512-ab12', 'sha512-ab9f', 'sha512-cd00'].map((start) => start.padEnd(71, '0'));
    beforeEach(() => {
      for (const key of files) {
        const file = imageManifestFile(the.data, key);
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, JSON.stringify(imageManifest()));
      }
    });
    it('takes as many digits as make it the only one', () => {
      assert.equal(the.store.resolveKey('sha512-ab1'), files[0]);
      assert.equal(the.store.resolveKey('sha512-cd'), files[2]);
      assert.equal(the.store.resolveKey(`${files[0] as string}${'f'.repeat(57)}`), files[0]);
    });
    it('refuses what is short, unknown, ambiguous or no ID', () => {
      assert.throws(() => the.store.resolveKey('sha512-a'), /^RktError: image ID too short$/);
      assert.throws(() => the.store.resolveKey('sha512-ff'), /^RktError: no image IDs found$/);
      assert.throws(() => the.store.resolveKey('sha512-ab'), /^RktError: ambiguous image ID: "sha512-ab"$/);
      assert.throws(() => the.store.resolveKey('md5-ab'), /^RktError: wrong key prefix$/);
      assert.throws(() => the.store.resolveKey('sha512-../../../etc'), /no image IDs found/);
      assert.throws(() => the.store.resolveKey('sha512-AB'), /no image IDs found/);
    });
    it('does not open the database', () => {
      the.store.resolveKey('sha512-ab1');
      the.store.readManifest(files[0] as string);
      the.store.touch(files[0] as string);
      assert.ok(!existsSync(dbFile(the.data)));
    });
  });

  describe('finding images by name', () => {
    it('prefers what is marked latest, then what came last', async () => {
      const name = 'example.com/a';
      const r1 = await the.add({ name, version: '1.0' });
      const r2 = await the.add({ name, version: '2.0' }, [], { latest: true });
      await the.add({ name, version: '3.0' });
      const r4 = await the.add({ name, version: '' });
      assert.equal(the.store.findByName(name, []), r2);
      assert.equal(the.store.findByName(name, [{ name: 'version', value: '1.0' }]), r1);
      assert.throws(
        () => the.store.findByName(name, [{ name: 'version', value: '9' }]),
        /^RktError: cannot find aci satisfying name: "example.com\/a" and labels: \[{"version" "9"}\] in the local store$/,
      );
      assert.throws(() => the.store.findByName(name, [{ name: 'channel', value: 'x' }]), /cannot find aci/);
      the.store.remove(r2);
      assert.equal(the.store.findByName(name, []), r4);
      const later = await the.add({ name, version: '1.0', annotations: { created: '2020-01-01T00:00:00Z' } });
      assert.equal(the.store.findByName(name, [{ name: 'version', value: '1.0' }]), later);
      assert.throws(() => the.store.findByName('example.com/b', []), /cannot find aci/);
    });
    it('passes over images whose manifest is gone', async () => {
      const name = 'example.com/a';
      const old = await the.add({ name, version: '1' });
      const gone = await the.add({ name, version: '2' });
      rmSync(imageManifestFile(the.data, gone));
      using fresh = openStore(the.data, { logger: the.store.logger });
      assert.equal(fresh.findByName(name, []), old);
    });
  });

  describe('when something is wrong with it', () => {
    it('names a damaged manifest', async () => {
      const key = await the.add();
      writeFileSync(imageManifestFile(the.data, key), '{');
      using fresh = openStore(the.data, { logger: the.store.logger });
      assert.throws(() => fresh.readManifest(key), new RegExp(key));
    });
    it('names a damaged database, and a newer one', async () => {
      await the.add();
      const sqlite = process.getBuiltinModule('node:sqlite');
      const db = new sqlite.DatabaseSync(dbFile(the.data));
      db.exec('PRAGMA user_version = 9');
      db.close();
      assert.throws(() => the.store.list(), /version 9, this rkt knows versions up to 2/);
      await assert.rejects(the.add(), /version 9/);
      writeFileSync(dbFile(the.data), 'this is no database at all'.repeat(100));
      assert.throws(() => the.store.list(), /image database .*rkt.db is damaged/);
    });
    it('makes a database that was lost from the images', async () => {
      const key = await the.add({ name: 'example.com/a' });
      const gone = await the.add({ name: 'example.com/b' });
      rmSync(the.store.blobPath(gone));
      const [before] = the.store.list();
      rmSync(dbFile(the.data));
      using fresh = openStore(the.data, { logger: the.store.logger });
      assert.equal(fresh.findByName('example.com/a', []), key);
      assert.deepEqual(
        fresh.list().map((info) => ({ ...info, importTime: 0, lastUsed: 0 })),
        [{ ...before, importTime: 0, lastUsed: 0 }],
      );
    });
    it('makes the tables when a killed process left an empty database', async () => {
      writeFileSync(dbFile(the.data), '');
      assert.deepEqual(the.store.list(), []);
      await the.add();
      assert.equal(the.store.list().length, 1);
    });
  });
});
