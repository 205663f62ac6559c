import assert from 'node:assert/strict';

import { isFresh, maxAgeSeconds } from './cache-control.ts';

describe('Cache-Control', () => {
  it('says how long a download stays fresh; the last directive wins', () => {
    const vectors: Record<string, number> = {
      '': 0,
      'max-age=10': 10,
      ' Max-Age=10 , public': 10,
      'max-age=-5': 0,
      'max-age=010': 0,
      'max-age=ten': 0,
      'max-age=10, max-age=ten': 10,
      'max-age=10, no-cache': 0,
      'no-store, max-age=20': 20,
      'max-age=5, max-age=6': 6,
      'private, max-age': 0,
    };
    for (const [header, seconds] of Object.entries(vectors))
      assert.equal(maxAgeSeconds(header), seconds, header);
    assert.equal(maxAgeSeconds(undefined), 0);
  });
  it('counts whole seconds', () => {
    assert.ok(isFresh(1000, 100, 100_999));
    assert.ok(!isFresh(1000, 100, 101_000));
    assert.ok(!isFresh(1000, 0, 1000));
    // A clock that was set back does not make old images older.
    assert.ok(isFresh(100_000, 100, 0));
  });
});
