// Entries of layers through their file and back. Runs in the test process.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import type { LayerEntry } from './layer-entries.ts';
import { LayerIndexReader, LayerIndexWriter } from './layer-index.ts';

const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
const bytes = text.map((each) => Buffer.from(each, 'latin1'));
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });

// Objects as they are written down.
const plain = { noNullPrototype: true } as const;

const tarEntry: fc.Arbitrary<LayerEntry['entry']> = fc.record(
  {
    type: fc.constantFrom('file', 'directory', 'hardlink', 'symlink', 'char', 'block', 'fifo'),
    name: fc.constant(Buffer.alloc(0)),
    linkName: bytes,
    mode: fc.nat(0o7777),
    uid: fc.integer(),
    gid: fc.integer(),
    size: count,
    mtimeNs: fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
    atimeNs: fc.option(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), { nil: undefined }),
    devMajor: fc.integer(),
    devMinor: fc.integer(),
    xattrs: fc.option(
      fc.array(fc.tuple(fc.string(), bytes)).map((each) => new Map(each)),
      { nil: undefined },
    ),
    sparse: fc.option(
      fc.record(
        { realSize: count, segments: fc.array(fc.record({ offset: count, size: count }, plain)) },
        plain,
      ),
      { nil: undefined },
    ),
  },
  plain,
);

const layerEntry: fc.Arbitrary<LayerEntry> = fc.record(
  { path: text, target: text, offset: count, storedBytes: count, entry: tarEntry },
  plain,
);

describe('the index of a layer', () => {
  let directory: string;
  before(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'layer-index-'))));
  after(() => fs.rmSync(directory, { recursive: true }));

  function written(entries: readonly LayerEntry[]): string {
    const file = path.join(directory, 'index');
    const fd = fs.openSync(file, 'w');
    const writer = new LayerIndexWriter(fd, file);
    for (const entry of entries) writer.add(entry);
    writer.finish();
    fs.closeSync(fd);
    return file;
  }

  it('gives every entry back, in order and by its position', () => {
    fc.assert(
      fc.property(fc.array(layerEntry), (entries) => {
        using reader = new LayerIndexReader(written(entries));
        const found = [...reader.entries()];
        assert.deepEqual(
          found.map(([, entry]) => entry),
          entries,
        );
        for (const [position, entry] of found.reverse()) assert.deepEqual(reader.at(position), entry);
      }),
      { numRuns: runs(100) },
    );
  });
  it('has room for entries larger than its buffers, and for many', () => {
    const [like] = fc.sample(layerEntry, { numRuns: runs(1), seed: 1 }) as [LayerEntry];
    const entries = Array.from({ length: 5000 }, (_, index) => ({
      ...like,
      path: `${index}`,
      target: '\xff'.repeat(index === 2500 ? 1024 * 1024 : index % 300),
    }));
    using reader = new LayerIndexReader(written(entries));
    const positions: number[] = [];
    let index = 0;
    for (const [position, { path, target }] of reader.entries()) {
      assert.deepEqual([path, target.length], [`${index}`, entries[index]?.target.length]);
      positions.push(position);
      index += 1;
    }
    assert.equal(index, entries.length);
    for (const each of [4999, 0, 2500, 17])
      assert.equal(reader.at(positions[each] as number).path, `${each}`);
  });
  it('says when its file is cut', () => {
    const [like] = fc.sample(layerEntry, { numRuns: runs(1), seed: 1 }) as [LayerEntry];
    const file = written([like]);
    fs.truncateSync(file, fs.statSync(file).size - 1);
    using reader = new LayerIndexReader(file);
    assert.throws(() => [...reader.entries()], { code: 'bad-archive' });
  });
});
