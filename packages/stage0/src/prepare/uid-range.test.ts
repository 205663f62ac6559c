import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';

import { type DataDir, dataDir, locksDir } from '@rkt/pod-layout/data-dir';
import { type PodDir, podPath, privateUsersFile } from '@rkt/pod-layout/pod-paths';
import { TempDir } from '@rkt/testkit/tmp';

import { allocateUidRange } from './uid-range.ts';

describe('ranges of user ids', () => {
  let tmp: TempDir;
  let data: DataDir;
  let serial = 0;
  beforeEach(() => {
    tmp = new TempDir('uid-range');
    data = dataDir(tmp.path);
    mkdirSync(locksDir(data));
  });
  afterEach(() => tmp.remove());

  const pod = (state: 'prepare' | 'run' | 'garbage' = 'prepare'): PodDir => {
    const uuid = `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`;
    const dir = podPath(data, state, uuid);
    mkdirSync(dir, { recursive: true });
    return dir;
  };

  it('are recorded, multiples of 65536, never that of the host', () => {
    for (const random of [0, 0.5, 0.999_999_9]) {
      const dir = pod();
      const { shift, count } = allocateUidRange(data, dir, () => random);
      assert.equal(readFileSync(privateUsersFile(dir), 'utf8'), `${shift}:${count}`);
      assert.equal(count, 65_536);
      assert.equal(shift % 65_536, 0);
      assert.ok(shift >= 65_536 && shift + count <= 2 ** 31);
    }
  });

  it('never meet, whatever state the other pods are in', () => {
    const states = ['prepare', 'run', 'garbage'] as const;
    const shifts = Array.from(
      { length: 30 },
      (_, n) => allocateUidRange(data, pod(states[n % 3]), () => 0.999_99).shift,
    );
    assert.equal(new Set(shifts).size, shifts.length);
  });
});
