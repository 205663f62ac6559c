// Images that cost more than they are worth, and how to allow one all the same (design: hostile inputs 21, 22).

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { base256, END_OF_ARCHIVE, rawEntry, rawHeader } from '@rkt/testkit/raw-tar';

import { archive, file, hostileSuite, manifestEntry, rootfsEntry } from '../lib/hostile.ts';
import { INSECURE, type Rkt } from '../lib/rkt.ts';

const MIB = 1024 * 1024;
/** Issue: the most memory any fetch may take. */
const MEMORY_BYTES = 250 * MIB;
const RAISE =
  /\(if you trust the image, raise (max-image-\w+): as a flag, or in configuration of kind limits\)/;

hostileSuite('hostile limits', (the) => {
  const many = Array.from({ length: 30 }, (_, index) => file(`rootfs/${index}`, 'x'.repeat(100)));
  const fetch = (
    bytes: Uint8Array,
    ...flags: readonly string[]
  ): Promise<{ output: string; status: number }> =>
    the.rkt.run([INSECURE, 'fetch', ...flags, the.write(bytes)], { timeoutMs: 150_000 });
  const isRefused = async (bytes: Uint8Array, limit: string, ...flags: readonly string[]): Promise<void> => {
    const { output, status } = await fetch(bytes, ...flags);
    assert.equal(status, 254, output);
    assert.equal(RAISE.exec(output)?.[1], limit, output);
    assert.equal(output.trimEnd().split('\n').length, 1, output);
  };

  it('are told by name, and raised by flag', async () => {
    const image = archive(...many);
    const packed = gzipSync(archive(file('rootfs/zeros', '\0'.repeat(160 * MIB))), { level: 9 });
    await isRefused(image, 'max-image-entries', '--max-image-entries=20');
    await isRefused(image, 'max-image-size', '--max-image-size=1Ki');
    await isRefused(packed, 'max-image-ratio');
    assert.equal((await fetch(image, '--max-image-entries=40', '--max-image-size=1M')).status, 0);
    assert.equal((await fetch(packed, '--max-image-ratio=2000')).status, 0);
  });
  it('are set by configuration, which a flag overrides and rkt config prints', async () => {
    const limits = { rktKind: 'limits', rktVersion: 'v1', 'max-image-entries': 20 };
    the.rkt.configure('localConfig', 'limits.d/images.json', limits);
    await isRefused(archive(...many), 'max-image-entries');
    await isRefused(archive(...many), 'max-image-entries', '--max-image-size=1Gi');
    const { stdout } = await the.rkt.ok(['config']);
    const { stage0 } = JSON.parse(stdout) as { stage0: object[] };
    assert.deepEqual(stage0.at(-1), { rktVersion: 'v1', rktKind: 'limits', 'max-image-entries': 20 });
    assert.equal((await fetch(archive(...many), '--max-image-entries=100')).status, 0);
    the.rkt.configure('localConfig', 'limits.d/images.json', { ...limits, 'max-image-entries': 'many' });
    await the.rkt.fails([INSECURE, 'fetch', the.write(archive())], 'is not a positive whole number');
  });
  it('do not stand in the way of an image that is in the store', async () => {
    assert.equal((await fetch(archive(...many))).status, 0);
    const limits = { rktKind: 'limits', rktVersion: 'v1', 'max-image-entries': 1 };
    the.rkt.configure('localConfig', 'limits.d/images.json', limits);
    await the.rkt.ok(['image', 'gc']);
    await the.rkt.ok(['image', 'render', 'example.com/hostile', the.rkt.tmp.join('out')]);
    await the.rkt.ok(['image', 'fsck']);
  });
  it('refuse flags that are no numbers', async () => {
    for (const flag of ['size=0', 'size=x', 'entries=0', 'entries=1.5', 'ratio=-1', 'memory=1Q'])
      await the.rkt.fails([INSECURE, 'fetch', `--max-image-${flag}`, 'x'], `--max-image-`);
  });
  it('hold for bombs in bombs, which are no archives', () =>
    the.refused(gzipSync(gzipSync(archive(file('rootfs/x', '\0'.repeat(MIB)))))));

  describe('of a hundred thousand entries and a gigabyte of zeros', () => {
    before(function () {
      this.timeout(300_000);
    });
    beforeEach(() => openKernel().mount('tmpfs', the.rkt.data, 'tmpfs', 0, 'mode=755'));
    afterEach(() => openKernel().umount2(the.rkt.data, MNT_DETACH));

    for (const [what, type] of [
      ['files', '0'],
      ['directories', '5'],
    ] as const) {
      it(`are not seen in the memory: ${what}`, async function () {
        this.timeout(300_000);
        const path = the.rkt.tmp.join('many.aci');
        writeMany(path, 100_001, type);
        const { peak, output } = await peakOf(the.rkt, [
          INSECURE,
          'fetch',
          '--max-image-entries=100000',
          path,
        ]);
        assert.match(output, /more than 100000 entries in the archive/);
        assert.ok(peak < MEMORY_BYTES, `${peak / MIB} MiB`);
      });
    }
    it('are not seen in the memory: zeros', async function () {
      this.timeout(300_000);
      const head = Buffer.concat([
        manifestEntry(),
        rootfsEntry(),
        rawEntry({ name: 'rootfs/big', size: base256(1n << 30n, 12) }),
      ]);
      const zeros = gzipSync(Buffer.alloc(64 * MIB), { level: 9 });
      const path = the.write(
        Buffer.concat([gzipSync(head), ...Array.from({ length: 16 }, () => zeros), gzipSync(END_OF_ARCHIVE)]),
      );
      const { peak, output } = await peakOf(the.rkt, [INSECURE, 'fetch', path]);
      assert.match(output, /archive expands to more than 200 times its size/);
      assert.ok(peak < MEMORY_BYTES, `${peak / MIB} MiB`);
    });
  });
});

// Synchronously: once node has threads, no later suite of this process can enter a mount namespace.
function writeMany(path: string, count: number, type: '0' | '5'): void {
  const pieces = [Buffer.concat([manifestEntry(), rootfsEntry()])];
  for (let start = 0; start < count; start += 1000) {
    const headers = Array.from({ length: Math.min(1000, count - start) }, (_, index) =>
      rawHeader({ name: `rootfs/d${start}/entry-${index}`, type, mode: 0o755 }),
    );
    pieces.push(Buffer.concat(headers));
  }
  const members = [...pieces, END_OF_ARCHIVE].map((piece) => gzipSync(piece, { level: 1 }));
  writeFileSync(path, Buffer.concat(members));
}

// The kernel keeps the high-water mark, so only what is allocated in the last moment can be missed.
async function peakOf(rkt: Rkt, args: readonly string[]): Promise<{ peak: number; output: string }> {
  const running = rkt.start(args, { timeoutMs: 250_000 });
  let peak = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${running.pid}/status`, 'utf8');
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // It has just ended.
    }
  }, 10);
  const { output } = await running.ended;
  clearInterval(timer);
  assert.ok(peak > 0);
  return { peak, output };
}
