// Go durations (contract stage0 1.3).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { formatDuration, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  const good: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['+0', 0],
    ['0s', 0],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['-1.5h', -5_400_000],
    ['.5s', 500],
    ['1.s', 1000],
    ['1h1h', 7_200_000],
    ['5µs', 0.005],
    ['5μs', 0.005],
    ['100ns', 0.0001],
  ];
  for (const [text, expected] of good) {
    it(`reads ${text}`, () => assert.ok(Math.abs(parseDuration(text) - expected) < 1e-9));
  }
  for (const text of ['', '-', '1', '1.5', '.s', 's', '1d', '1h 2m', '1e3s', '0x1s', ' 1s', '300000000h']) {
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseDuration(text), { code: 'bad-value' }));
  }
});

describe('formatDuration', () => {
  const vectors: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [1_800_000, '30m0s'],
    [86_400_000, '24h0m0s'],
    [1500, '1.5s'],
    [100, '100ms'],
    [-90_000, '-1m30s'],
    [0.001, '1µs'],
  ];
  for (const [milliseconds, expected] of vectors) {
    it(`prints ${expected}`, () => assert.equal(formatDuration(milliseconds), expected));
  }
  it('is read back as the same duration', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (milliseconds) => {
        assert.ok(Math.abs(parseDuration(formatDuration(milliseconds)) - milliseconds) < 0.001);
      }),
    );
  });
});
