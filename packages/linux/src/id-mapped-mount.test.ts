import assert from 'node:assert/strict';
import {
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { MNT_DETACH } from './constants.ts';
import { idMappedLayerSupport, mountIdMapped, openUserNamespace } from './id-mapped-mount.ts';
import { openKernel } from './libc.ts';
import { mountOverlay } from './overlay.ts';
import { recordingKernel } from './testing/recording-kernel.ts';

const IDS = { shift: 131_072, count: 65_536 };

function children(): string[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').split(' ').filter(Boolean);
}

describe('mounts with mapped owners', () => {
  const kernel = openKernel();
  let base = '';
  beforeEach(function () {
    if (process.getuid?.() !== 0) this.skip();
    base = mkdtempSync(path.join(tmpdir(), 'rkt-idmap-'));
    for (const name of ['tree', 'lower', 'upper', 'work', 'root']) mkdirSync(path.join(base, name));
    writeFileSync(path.join(base, 'tree/file'), 'content');
    chownSync(path.join(base, 'tree/file'), 5, 65_535);
    writeFileSync(path.join(base, 'tree/beyond'), '');
    chownSync(path.join(base, 'tree/beyond'), 65_536, 0);
  });
  afterEach(() => base !== '' && rmSync(base, { recursive: true, force: true }));

  const at = (name: string): string => path.join(base, name);
  const owner = (name: string): number[] => {
    const { uid, gid } = lstatSync(at(name));
    return [uid, gid];
  };

  it('come from a namespace that nobody is in', () => {
    const before = [children(), readdirSync('/proc/self/fd').length];
    const fd = openUserNamespace(kernel, IDS);
    assert.match(readlinkSync(`/proc/self/fd/${fd}`), /^user:\[\d+\]$/);
    assert.notEqual(readlinkSync(`/proc/self/fd/${fd}`), readlinkSync('/proc/self/ns/user'));
    closeSync(fd);
    assert.deepEqual([children(), readdirSync('/proc/self/fd').length], before);
  });

  it('leave no process behind where the mapping is refused', () => {
    const before = children();
    assert.throws(() => openUserNamespace(kernel, { shift: 0, count: 0 }), { code: 'EINVAL' });
    assert.deepEqual(children(), before);
  });

  it('are layers of overlays, which keep them, and write the mapped ids', function () {
    if (!idMappedLayerSupport(base).supported) this.skip();
    mountIdMapped(kernel, at('tree'), at('lower'), IDS);
    try {
      assert.deepEqual(owner('lower/file'), [131_077, 196_607]);
      assert.throws(() => writeFileSync(at('lower/file'), 'changed'), { code: 'EROFS' });
      mountOverlay(kernel, { lower: at('lower'), upper: at('upper'), work: at('work'), target: at('root') });
    } finally {
      kernel.umount2(at('lower'), MNT_DETACH);
    }
    try {
      assert.ok(!existsSync(at('lower/file')));
      assert.deepEqual(owner('root/file'), [131_077, 196_607]);
      writeFileSync(at('root/file'), 'changed');
      assert.deepEqual(owner('upper/file'), [131_077, 196_607]);
      // Nobody's, to whoever looks.
      assert.deepEqual(owner('root/beyond'), [65_534, 131_072]);
    } finally {
      kernel.umount2(at('root'), MNT_DETACH);
    }
    assert.equal(readFileSync(at('tree/file'), 'utf8'), 'content');
    assert.deepEqual(owner('tree/file'), [5, 65_535]);
  });

  it('are not asked of a kernel whose overlayfs refuses them', () => {
    for (const release of ['5.18.19-generic', '4.19.0', '5.4', '3.10.0-1160.el7']) {
      const recorded = recordingKernel();
      const support = idMappedLayerSupport(base, recorded, release);
      assert.ok(!support.supported, release);
      assert.deepEqual(recorded.calls, []);
    }
  });

  it('are not there where the file system cannot map', function () {
    // proc never does.
    const support = idMappedLayerSupport('/proc', kernel, '6.1.0');
    assert.ok(!support.supported);
    assert.match(support.reason, /owners cannot be mapped/);
  });
});
