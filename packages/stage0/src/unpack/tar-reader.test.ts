import assert from 'node:assert/strict';

import {
  base256,
  gnuLongName,
  paxEntry,
  paxRecord,
  rawArchive,
  rawEntry,
  rawHeader,
} from '@rkt/testkit/raw-tar';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';
import { Header } from 'tar';

import { DEFAULT_LIMITS } from './limits.ts';
import type { TarEntry } from './tar-entry.ts';
import { tarNumber } from './tar-number.ts';
import { TarReader } from './tar-reader.ts';

interface Seen {
  readonly entry: TarEntry;
  readonly data: Buffer;
}

function read(archive: Buffer, pieceBytes = archive.length): Seen[] {
  const seen: { entry: TarEntry; pieces: Buffer[] }[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => seen.push({ entry, pieces: [] }),
      data: (bytes) => seen.at(-1)?.pieces.push(Buffer.from(bytes)),
      endEntry: () => undefined,
    },
    DEFAULT_LIMITS,
  );
  for (let at = 0; at < archive.length; at += pieceBytes) reader.write(archive.subarray(at, at + pieceBytes));
  reader.end();
  return seen.map(({ entry, pieces }) => ({ entry, data: Buffer.concat(pieces) }));
}

function one(...blocks: Buffer[]): Seen {
  const [seen, ...more] = read(rawArchive(blocks));
  assert.equal(more.length, 0);
  assert.ok(seen);
  return seen;
}

describe('tar reader', () => {
  it('reads every field of a ustar header', () => {
    const { entry, data } = one(
      rawEntry(
        { name: 'b', prefix: 'a/long', mode: 0o4755, uid: 10, gid: 20, mtime: 1234567890, type: '0' },
        'content',
      ),
    );
    assert.deepEqual(
      { ...entry, name: entry.name.toString(), linkName: entry.linkName.toString() },
      {
        type: 'file',
        name: 'a/long/b',
        linkName: '',
        mode: 0o4755,
        uid: 10,
        gid: 20,
        size: 7,
        mtimeNs: 1234567890n * 1_000_000_000n,
        atimeNs: undefined,
        devMajor: 0,
        devMinor: 0,
        xattrs: undefined,
        sparse: undefined,
      },
    );
    assert.equal(data.toString(), 'content');
  });

  it('does not take other things in GNU headers for a prefix', () => {
    assert.equal(
      one(rawHeader({ name: 'b', prefix: 'times', magic: 'ustar  \0' })).entry.name.toString(),
      'b',
    );
    assert.equal(one(rawHeader({ name: 'b', prefix: 'junk', magic: '' })).entry.name.toString(), 'b');
  });

  it('knows all types of files', () => {
    const types = ['0', '7', '1', '2', '3', '4', '5', '6'].map(
      (type) => one(rawHeader({ name: 'x', type, linkname: 'y' })).entry.type,
    );
    assert.deepEqual(types, ['file', 'file', 'hardlink', 'symlink', 'char', 'block', 'directory', 'fifo']);
  });

  it('ignores the size old archives give to links and directories', () => {
    const seen = read(
      rawArchive([
        rawHeader({ name: 'l', type: '1', linkname: 'a', size: 500 }),
        rawHeader({ name: 'd', type: '5', size: 500 }),
        rawEntry({ name: 'f' }, 'x'),
      ]),
    );
    assert.deepEqual(
      seen.map(({ entry }) => entry.name.toString()),
      ['l', 'd', 'f'],
    );
  });

  it('takes long names from GNU and from pax, which wins', () => {
    const long = 'n'.repeat(300);
    const { entry } = one(gnuLongName('L', long), gnuLongName('K', `${long}2`), rawHeader({ type: '2' }));
    assert.equal(entry.name.toString(), long);
    assert.equal(entry.linkName.toString(), `${long}2`);
    const pax = one(
      gnuLongName('L', 'gnu'),
      paxEntry([paxRecord('path', 'pax'), paxRecord('linkpath', 'target')]),
      rawHeader({ type: '2' }),
    );
    assert.equal(pax.entry.name.toString(), 'pax');
    assert.equal(pax.entry.linkName.toString(), 'target');
  });

  it('reads numbers, times and attributes of pax', () => {
    const value = Buffer.from([0, 1, 0xff, 0x0a, 0x3d]);
    const { entry } = one(
      paxEntry([
        paxRecord('uid', '3000000000'),
        paxRecord('gid', '7'),
        paxRecord('mtime', '-1.25'),
        paxRecord('atime', '12.123456789123'),
        paxRecord('SCHILY.xattr.user.bin', value),
        paxRecord('SCHILY.devmajor', '8'),
      ]),
      rawHeader({ name: 'x', minor: 3 }),
    );
    assert.equal(entry.uid, 3_000_000_000);
    assert.equal(entry.gid, 7);
    assert.equal(entry.mtimeNs, -1_250_000_000n);
    assert.equal(entry.atimeNs, 12_123_456_789n);
    assert.deepEqual(entry.xattrs?.get('user.bin'), value);
    assert.deepEqual([entry.devMajor, entry.devMinor], [8, 3]);
  });

  it('passes over volume labels', () => {
    assert.equal(
      one(rawHeader({ name: 'label', type: 'V' }), rawHeader({ name: 'x' })).entry.name.toString(),
      'x',
    );
  });

  it('reads the same in pieces of any size', () => {
    const archive = rawArchive([
      rawEntry({ name: 'manifest' }, '{}'),
      gnuLongName('L', 'l'.repeat(600)),
      rawEntry({ name: 'x' }, 'y'.repeat(1500)),
      paxEntry([paxRecord('mtime', '5')]),
      rawEntry({ name: 'z' }, ''),
    ]);
    const whole = read(archive);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), (pieceBytes) => {
        assert.deepEqual(read(archive, pieceBytes), whole);
      }),
    );
  });

  it('never throws anything but refusals on junk', () => {
    const seed = rawArchive([paxEntry([paxRecord('path', 'a')]), rawEntry({ name: 'x' }, 'y')]);
    fc.assert(
      fc.property(fc.nat(seed.length - 1), fc.nat(255), fc.nat(255), (at, byte, other) => {
        const archive = Buffer.from(seed);
        archive[at] = byte;
        archive[(at + 100) % archive.length] = other;
        try {
          read(archive);
        } catch (error) {
          assert.equal((error as Error).name, 'RktError', String((error as Error).stack));
        }
      }),
      { numRuns: runs(2000) },
    );
  });
});

describe('sparse files', () => {
  const GNU = { magic: 'ustar  \0', type: 'S' } as const;
  const octal = (value: number): string => `${value.toString(8).padStart(11, '0')}\0`;

  // rawHeader has no fields for the map: they are put into the block, and its checksum after them.
  function gnuSparse(
    size: number,
    map: readonly (readonly [number, number])[],
    realSize: number,
    extended = false,
  ): Buffer {
    const block = rawHeader({ name: 'sparse', ...GNU, size });
    map.forEach(([offset, length], index) =>
      block.write(octal(offset) + octal(length), 386 + 24 * index, 'latin1'),
    );
    block[482] = extended ? 1 : 0;
    block.write(octal(realSize), 483, 'latin1');
    block.fill(' ', 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    return block;
  }
  const data = (text: string): Buffer =>
    Buffer.concat([Buffer.from(text), Buffer.alloc((512 - (text.length % 512)) % 512)]);

  it('of old GNU archives are read, with continued maps', () => {
    const { entry } = one(
      gnuSparse(
        4,
        [
          [0, 1],
          [1000, 3],
        ],
        5000,
      ),
      data('abcd'),
    );
    assert.equal(entry.size, 5000);
    assert.deepEqual(entry.sparse?.segments, [
      { offset: 0, size: 1 },
      { offset: 1000, size: 3 },
    ]);
    const more = Buffer.alloc(512);
    more.write(octal(40) + octal(1) + octal(50) + octal(0), 0, 'latin1');
    const map = [
      [0, 1],
      [10, 1],
      [20, 1],
      [30, 1],
    ] as const;
    const continued = one(gnuSparse(5, map, 50, true), more, data('abcde'));
    assert.equal(continued.entry.sparse?.segments.length, 5);
    assert.equal(continued.data.toString(), 'abcde');
  });

  it('of the three pax forms are read', () => {
    const zero = one(
      paxEntry([
        paxRecord('GNU.sparse.size', '100'),
        paxRecord('GNU.sparse.numblocks', '2'),
        paxRecord('GNU.sparse.offset', '0'),
        paxRecord('GNU.sparse.numbytes', '1'),
        paxRecord('GNU.sparse.offset', '50'),
        paxRecord('GNU.sparse.numbytes', '2'),
      ]),
      rawEntry({ name: 'x' }, 'abc'),
    );
    const one0 = one(
      paxEntry([
        paxRecord('GNU.sparse.size', '100'),
        paxRecord('GNU.sparse.map', '0,1,50,2'),
        paxRecord('GNU.sparse.name', 'real'),
      ]),
      rawEntry({ name: 'GNUSparseFile.1/x' }, 'abc'),
    );
    const map = Buffer.alloc(512);
    map.write('2\n0\n1\n50\n2\n', 'latin1');
    const inData = one(
      paxEntry([
        paxRecord('GNU.sparse.major', '1'),
        paxRecord('GNU.sparse.minor', '0'),
        paxRecord('GNU.sparse.realsize', '100'),
        paxRecord('GNU.sparse.name', 'real'),
      ]),
      rawEntry({ name: 'GNUSparseFile.1/x' }, Buffer.concat([map, Buffer.from('abc')])),
    );
    for (const { entry, data: bytes } of [zero, one0, inData]) {
      assert.deepEqual(entry.sparse, {
        realSize: 100,
        segments: [
          { offset: 0, size: 1 },
          { offset: 50, size: 2 },
        ],
      });
      assert.equal(bytes.toString(), 'abc');
    }
    assert.deepEqual(
      [zero, one0, inData].map(({ entry }) => entry.name.toString()),
      ['x', 'real', 'real'],
    );
  });

  it('with maps that cannot be are refused', () => {
    const bad =
      (map: string, size = '100', content = 'abc'): (() => void) =>
      () =>
        void one(
          paxEntry([paxRecord('GNU.sparse.size', size), paxRecord('GNU.sparse.map', map)]),
          rawEntry({ name: 'x' }, content),
        );
    for (const map of ['0,1,50', '50,2,0,1', '0,2,1,1', '0,1,99,2', '0,1,50,1', '0,-1,50,4', 'x,1,2,3']) {
      assert.throws(bad(map), /sparse map/, map);
    }
    assert.throws(bad('0,1,50,2', 'x'), /bad GNU.sparse.size/);
    assert.throws(() => one(gnuSparse(4, [[0, 1]], 10), data('abcd')), /sparse map and size differ/);
    const version = paxEntry([
      paxRecord('GNU.sparse.major', '2'),
      paxRecord('GNU.sparse.minor', '0'),
      paxRecord('GNU.sparse.realsize', '1'),
    ]);
    assert.throws(() => one(version, rawEntry({ name: 'x' }, 'a')), /sparse format 2.0/);
    const inData = paxEntry([
      paxRecord('GNU.sparse.major', '1'),
      paxRecord('GNU.sparse.minor', '0'),
      paxRecord('GNU.sparse.realsize', '9'),
    ]);
    assert.throws(() => one(inData, rawEntry({ name: 'x' }, 'short')), /bad sparse map/);
    assert.throws(
      () => one(inData, rawEntry({ name: 'x' }, Buffer.alloc(1024, '9'))),
      /bad sparse map|too many holes/,
    );
  });
});

describe('tar numbers', () => {
  it('are what node-tar wrote', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (size) => {
        const block = Buffer.alloc(512);
        new Header({ path: 'x', type: 'File', size }).encode(block, 0);
        assert.equal(tarNumber(block, 124, 12), size);
      }),
    );
  });
  it('may be negative in base 256', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        assert.equal(tarNumber(base256(BigInt(value), 12), 0, 12), value);
      }),
    );
  });
  it('are refused when they are no octal numbers', () => {
    assert.equal(tarNumber(Buffer.from('0000009\0'), 0, 8), undefined);
    assert.equal(tarNumber(Buffer.from('  17 \0\0\0'), 0, 8), 15);
    assert.equal(tarNumber(Buffer.alloc(8), 0, 8), 0);
  });
});
