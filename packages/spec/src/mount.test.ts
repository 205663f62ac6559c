// The flag that gives an app a volume of its own (contract stage0 8.20).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { SpecError } from './errors.ts';
import { parseMountVolumeFlag } from './mount.ts';

describe('parseMountVolumeFlag', () => {
  it('reads a volume and where it is mounted, in any order', () => {
    const mount = {
      volume: 'data',
      path: '/srv',
      appVolume: { name: 'data', kind: 'host', source: '/src', readOnly: true },
    };
    assert.deepEqual(
      parseMountVolumeFlag('name=data,kind=host,source=/src,target=/srv,readOnly=true'),
      mount,
    );
    assert.deepEqual(
      parseMountVolumeFlag('target=/srv,readOnly=true,kind=host,name=data,source=/src'),
      mount,
    );
  });
  it('says what is missing', () => {
    assert.throws(
      () => parseMountVolumeFlag('kind=empty,target=/srv'),
      /--mnt-volume flag .*: name is missing/,
    );
    assert.throws(
      () => parseMountVolumeFlag('name=data,kind=empty'),
      /--mnt-volume flag .*: target is missing/,
    );
    assert.throws(() => parseMountVolumeFlag('name=data,target=/srv,kind=other'), { code: 'bad-flag' });
  });
  it('refuses any other text with an error of its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        try {
          parseMountVolumeFlag(text);
        } catch (error) {
          assert.ok(error instanceof SpecError, String(error));
        }
      }),
    );
  });
});
