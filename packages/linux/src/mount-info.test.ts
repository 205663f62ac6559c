// Reading mountinfo: the escapes, the fields, and the order to unmount in.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  isMountPoint,
  mountsBelow,
  parseMountInfo,
  readMountInfo,
  unescapeBytes,
  type MountEntry,
} from './mount-info.ts';

// seq_path() in the kernel escapes these in mountinfo.
function kernelEscape(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    ' \t\n\\#'.includes(String.fromCharCode(byte))
      ? `\\${byte.toString(8).padStart(3, '0')}`
      : String.fromCharCode(byte),
  ).join('');
}

function entry(id: number, parentId: number, mountPoint: string): MountEntry {
  const line = `${id} ${parentId} 0:1 / ${kernelEscape(Buffer.from(mountPoint))} rw - tmpfs none rw`;
  return parseMountInfo(`${line}\n`)[0] as MountEntry;
}

describe('mountinfo', () => {
  it('undoes what the kernel escapes (property)', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        (bytes) => Buffer.compare(unescapeBytes(kernelEscape(bytes)), bytes) === 0,
      ),
    );
  });
  it('finds every field however names are escaped (property)', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !text.includes('\0') && text.isWellFormed());
    fc.assert(
      fc.property(name, name, name, (root, point, source) => {
        const [r, p, s] = [root, point, source].map((text) => kernelEscape(Buffer.from(text)));
        const line = `36 35 98:0 ${r} ${p} rw,noatime master:1 shared:7 - ext3 ${s} rw,errors=continue`;
        assert.deepEqual(parseMountInfo(line), [
          {
            id: 36,
            parentId: 35,
            majorMinor: '98:0',
            root,
            mountPoint: point,
            options: ['rw', 'noatime'],
            optionalFields: ['master:1', 'shared:7'],
            fsType: 'ext3',
            source,
            superOptions: ['rw', 'errors=continue'],
          },
        ]);
      }),
    );
  });
  it('keeps the bytes of a mount point that is not UTF-8', () => {
    const [found] = parseMountInfo('1 0 0:1 / /caf\xe9 rw - tmpfs none rw');
    assert.deepEqual(found?.mountPointBytes, Buffer.from('/caf\xe9', 'latin1'));
  });
  it('refuses a line that is none', () => {
    for (const line of ['1 2 3', '1 0 0:1 / /x rw tmpfs none rw', '1 0 0:1 / /x rw - tmpfs none']) {
      assert.throws(() => parseMountInfo(line), { code: 'bad-proc-file' }, line);
    }
  });
  it('reads the mounts of this process', () => {
    const entries = readMountInfo();
    assert.ok(isMountPoint('/proc', entries));
    assert.ok(!isMountPoint('/proc/self', entries));
    assert.throws(() => readMountInfo(2 ** 22 + 1), {
      message: `open /proc/${2 ** 22 + 1}/mountinfo: no such file or directory`,
    });
  });
  it('orders children before parents, the topmost first', () => {
    const entries = [
      entry(1, 0, '/'),
      entry(2, 1, '/pod'),
      entry(3, 2, '/pod/a'),
      entry(4, 1, '/podium'),
      entry(5, 3, '/pod/a/x'),
      entry(6, 2, '/pod/b'),
      // A second mount over /pod/b.
      entry(7, 6, '/pod/b'),
      // A second mount over /pod: it hides all above.
      entry(8, 2, '/pod'),
    ];
    assert.deepEqual(
      mountsBelow(entries, '/pod').map(({ id }) => id),
      [8, 7, 6, 5, 3, 2],
    );
    assert.deepEqual(
      mountsBelow(entries, '/pod/a').map(({ id }) => id),
      [5, 3],
    );
    assert.equal(mountsBelow(entries, '/').length, entries.length);
    assert.deepEqual(mountsBelow(entries, '/none'), []);
  });
});
