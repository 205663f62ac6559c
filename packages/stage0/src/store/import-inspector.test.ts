// What sees an image while it is imported sees the file as it is, and keeps the image out by throwing.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { casTmpDir } from '@rkt/pod-layout/data-dir';
import { buildAci, COMPRESSIONS } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';

import { TestStore } from './testing/test-store.ts';

describe('import inspector', () => {
  let the: TestStore;
  beforeEach(() => {
    the = new TestStore();
  });
  afterEach(() => the[Symbol.dispose]());

  // Larger than one piece of the file, and incompressible.
  const content = Buffer.from(
    Array.from({ length: 50_000 }, (_, index) => createHash('sha512').update(`${index}`).digest('hex')).join(
      '',
    ),
    'hex',
  );
  for (const compression of COMPRESSIONS) {
    // Only the ends of archives and of gzip's streams may be padded.
    for (const padding of ['none', 'gzip'].includes(compression) ? [0, 512, 2_560_000] : [0]) {
      it(`sees every byte of ${compression} and ${padding} bytes of padding`, async () => {
        const path = the.tmp.join('image.aci');
        const { bytes, key } = buildAci({
          manifest: imageManifest({ name: 'example.com/seen' }),
          files: [{ path: 'file', content }],
          compression,
        });
        writeFileSync(path, bytes);
        appendFileSync(path, Buffer.alloc(padding));
        const hash = createHash('sha256');
        let name = '';
        const imported = await the.import(path, {
          inspector: {
            bytes: (chunk) => hash.update(chunk),
            accept: async (manifest) => {
              name = manifest.name;
              assert.deepEqual(the.store.list(), [], 'nothing is visible yet');
            },
          },
        });
        assert.equal(name, 'example.com/seen');
        if (compression !== 'none') assert.equal(imported, key);
        assert.equal(hash.digest('hex'), createHash('sha256').update(readFileSync(path)).digest('hex'));
      });
    }
  }
  it('keeps an image out by throwing', async () => {
    const { path, key } = the.write({ name: 'example.com/refused' });
    const inspector = { bytes: () => undefined, accept: () => Promise.reject(new Error('no')) };
    await assert.rejects(the.import(path, { inspector }), /^Error: no$/);
    assert.equal(the.store.hasKey(key), false);
    assert.equal(existsSync(the.store.blobPath(key)), false);
    assert.deepEqual(the.store.list(), []);
    assert.deepEqual(readdirSync(casTmpDir(the.data)), []);
  });
});
