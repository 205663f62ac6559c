import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';

import { encodePlan, sealedFile } from './confine-plan.ts';

describe('plan of confine', () => {
  it('is the struct that confine reads', () => {
    const filter = Buffer.alloc(16, 7);
    const plan = encodePlan({
      bounding: 0x1_0000_0003n,
      noNewPrivileges: true,
      userNamespace: 9,
      cgroup: 8,
      cgroupNamespace: 7,
      label: 'u:r:t:s0',
      filter,
    });
    assert.equal(plan.length, 32 + 16 + 8);
    assert.equal(plan.readBigUInt64LE(0), 0x1_0000_0003n);
    assert.deepEqual(
      [8, 12, 16, 20, 24, 28].map((offset) => plan.readInt32LE(offset)),
      [1, 9, 2, 8, 7, 8],
    );
    assert.deepEqual(plan.subarray(32, 48), filter);
    assert.equal(plan.toString('latin1', 48), 'u:r:t:s0');
    const least = encodePlan({ bounding: 0n, noNewPrivileges: false });
    assert.deepEqual(
      [8, 12, 16, 20, 24, 28].map((offset) => least.readInt32LE(offset)),
      [0, -1, 0, -1, -1, 0],
    );
  });

  // CVE-2019-5736: what has been executed is opened again by way of /proc and written.
  it('and its program lie in files that nobody can write, however they are opened', () => {
    const fd = sealedFile(openKernel(), 'test', Buffer.from('content'));
    try {
      assert.throws(() => writeSync(fd, 'x'), { code: 'EPERM' });
      const again = openSync(`/proc/self/fd/${fd}`, 'r+');
      try {
        assert.throws(() => writeSync(again, 'x'), { code: 'EPERM' });
      } finally {
        closeSync(again);
      }
      assert.equal(readFileSync(`/proc/self/fd/${fd}`, 'utf8'), 'content');
    } finally {
      closeSync(fd);
    }
  });
});
