import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { constants, crc32, gzipSync, zstdCompressSync } from 'node:zlib';

import type { AciCompression } from '@rkt/spec/aci';
import { TempDir } from '@rkt/testkit/tmp';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { bzip2Chunks } from './bzip2/bzip2.ts';
import { decompressed } from './decompress.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { xzChunks } from './xz/xz.ts';

const FORMATS = ['none', 'gzip', 'zstd', 'bzip2', 'xz'] as const;

function compress(bytes: Buffer, format: AciCompression, ...options: string[]): Buffer {
  if (format === 'none') return bytes;
  if (format === 'gzip') return gzipSync(bytes);
  if (format === 'zstd') return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  const { status, stdout } = spawnSync(format, ['--stdout', ...options], {
    input: bytes,
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0);
  return stdout;
}

function crc(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(bytes));
  return sum;
}

function hasPrograms(): boolean {
  return ['xz', 'bzip2'].every((program) => spawnSync(program, ['--version'], { input: '' }).status === 0);
}

// Compressible and not, and longer than one block of anything.
const SAMPLE = Buffer.concat([
  Buffer.from('the same again and again '.repeat(60_000)),
  randomBytes(300_000),
  Buffer.alloc(1_500_000),
  Buffer.from('tail'),
]);

describe('decompression', () => {
  let tmp: TempDir;
  before(function () {
    if (!hasPrograms()) this.skip();
  });
  beforeEach(() => {
    tmp = new TempDir('decompress');
  });
  afterEach(() => tmp?.remove());

  async function decode(packed: Buffer, format: AciCompression, limits = DEFAULT_LIMITS): Promise<Buffer> {
    const path = tmp.join('file');
    writeFileSync(path, packed);
    const fd = openSync(path, 'r');
    try {
      const pieces: Buffer[] = [];
      for await (const piece of decompressed({ fd, sizeBytes: packed.length }, format, limits)) {
        pieces.push(Buffer.from(piece));
      }
      return Buffer.concat(pieces);
    } finally {
      closeSync(fd);
    }
  }

  for (const format of FORMATS) {
    it(`gives back what was packed: ${format}`, async () => {
      assert.ok((await decode(compress(SAMPLE, format), format)).equals(SAMPLE));
      assert.equal((await decode(compress(Buffer.alloc(0), format), format)).length, 0);
    });
    if (format === 'none') continue;
    it(`takes several streams in a row, and zeros after them: ${format}`, async () => {
      const [first, second] = [Buffer.from('first'), Buffer.from('second')];
      const both = Buffer.concat([compress(first, format), compress(second, format)]);
      assert.equal((await decode(both, format)).toString(), 'firstsecond');
      if (format !== 'zstd') {
        assert.equal(
          (await decode(Buffer.concat([both, Buffer.alloc(512)]), format)).toString(),
          'firstsecond',
        );
      }
    });
    it(`refuses a stream that is cut anywhere: ${format}`, async () => {
      const packed = compress(Buffer.from('some text to pack '.repeat(20)), format);
      for (let length = 0; length < packed.length; length += 1) {
        await assert.rejects(
          decode(packed.subarray(0, length), format).then((bytes) => assert.equal(bytes.length, -1)),
          /cut|damaged/,
          `${length} of ${packed.length}`,
        );
      }
    });
    it(`refuses anything after the stream: ${format}`, async () => {
      const packed = compress(SAMPLE.subarray(0, 1000), format);
      for (const tail of [
        Buffer.from('x'),
        Buffer.from('garbage garbage garbage'),
        Buffer.concat([Buffer.alloc(16), Buffer.from('x')]),
      ]) {
        await assert.rejects(
          decode(Buffer.concat([packed, tail]), format),
          /data after the end|damaged|cut/,
          String(tail),
        );
      }
    });
    it(`never gives back other bytes for a damaged stream: ${format}`, async () => {
      const original = Buffer.from('some text to pack '.repeat(20));
      const packed = compress(original, format);
      for (let at = 0; at < packed.length; at += 1) {
        const damaged = Buffer.from(packed);
        damaged[at] = (damaged[at] ?? 0) ^ 0x10;
        // What no checksum covers (a file name, say) may change unseen, but the content may not.
        const result: Buffer = await decode(damaged, format).catch((error: unknown) => {
          assert.equal((error as Error).name, 'RktError', `byte ${at}: ${String((error as Error).stack)}`);
          return original;
        });
        assert.ok(result.equals(original), `byte ${at}`);
      }
    });
  }

  it('refuses what expands beyond measure', async () => {
    const zeros = Buffer.alloc(20_000_000);
    const limits = { ...DEFAULT_LIMITS, ratioFreeBytes: 1_000_000 };
    for (const format of ['gzip', 'zstd', 'bzip2', 'xz'] as const) {
      await assert.rejects(decode(compress(zeros, format), format, limits), /expands to more than 200 times/);
    }
    assert.ok((await decode(zeros, 'none', limits)).equals(zeros));
  });

  it('refuses windows larger than it would allocate', async () => {
    const xz = compress(Buffer.from('x'), 'xz', '--lzma2=dict=128MiB');
    await assert.rejects(decode(xz, 'xz'), /needs 128 MiB of memory/);
    const zstd = spawnSync('zstd', ['--ultra', '--long=28', '-c'], { input: randomBytes(1000) });
    if (zstd.status === 0) await assert.rejects(decode(zstd.stdout, 'zstd'), /too much memory|zstd/);
  });

  it('refuses the largest windows there are before it allocates them, unless they are allowed', async () => {
    // A frame and a block header, byte by byte: 2 GiB of window, 4 GiB of dictionary.
    const zstd = Buffer.from('28b52ffd00a8010000', 'hex');
    const flags = Buffer.from('0001', 'hex');
    const block = Buffer.from('0200210128000000', 'hex');
    const xz = Buffer.concat([Buffer.from('fd377a585a00', 'hex'), flags, crc(flags), block, crc(block)]);
    for (const [packed, format] of [
      [zstd, 'zstd'],
      [xz, 'xz'],
    ] as const) {
      await assert.rejects(decode(packed, format), (error) => {
        const { code, message, hint } = error as { code: string; message: string; hint: string };
        assert.equal(code, 'limit-exceeded');
        assert.match(message, /memory/);
        assert.match(hint, /raise max-image-memory/);
        return true;
      });
    }
    const small = compress(Buffer.from('x'), 'xz', '--lzma2=dict=128MiB');
    const raised = { ...DEFAULT_LIMITS, maxMemoryBytes: 256 << 20 };
    assert.equal((await decode(small, 'xz', raised)).toString(), 'x');
    await assert.rejects(decode(small, 'xz', { ...raised, maxMemoryBytes: 1 << 20 }), /1 MiB are allowed/);
  });

  it('bounds what comes out, packed or not', async () => {
    const limits = { ...DEFAULT_LIMITS, maxFileBytes: 1_000_000 };
    for (const format of FORMATS) {
      await assert.rejects(
        decode(compress(randomBytes(1_500_000), format), format, limits),
        /archive of more than 1000000 bytes/,
      );
    }
  });

  it('reads every check and size of xz, and refuses filters it does not have', async () => {
    for (const options of [
      ['--check=none'],
      ['--check=crc32'],
      ['--check=sha256'],
      ['-0'],
      ['-9e'],
      ['--block-size=65536'],
    ]) {
      assert.ok((await decode(compress(SAMPLE, 'xz', ...options), 'xz')).equals(SAMPLE), options.join());
    }
    await assert.rejects(
      decode(compress(SAMPLE, 'xz', '--x86', '--lzma2'), 'xz'),
      /filter 0x4: only lzma2 is supported/,
    );
  });

  it('reads every block size of bzip2', async () => {
    for (const level of ['-1', '-5', '-9']) {
      assert.ok((await decode(compress(SAMPLE, 'bzip2', level), 'bzip2')).equals(SAMPLE));
    }
  });

  it('gives back any bytes, pushed in pieces of any size', () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.string({ maxLength: 30 }).map((text) => Buffer.from(text.repeat(300))),
    );
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 5000 }), (bytes, pieceBytes) => {
        const original = Buffer.from(bytes);
        for (const [format, decoder] of [
          ['xz', xzChunks],
          ['bzip2', bzip2Chunks],
        ] as const) {
          const packed = compress(original, format);
          const pieces: Buffer[] = [];
          for (let at = 0; at < packed.length; at += pieceBytes)
            pieces.push(packed.subarray(at, at + pieceBytes));
          const out = Buffer.concat(Array.from(decoder(pieces), (piece) => Buffer.from(piece)));
          assert.ok(out.equals(original));
        }
      }),
      { numRuns: runs(30) },
    );
  });
});
