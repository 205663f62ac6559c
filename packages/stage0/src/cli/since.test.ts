// --since: times and durations.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { parseSince } from './since.ts';

const NOW = Date.UTC(2026, 10, 26, 12);

describe('--since', () => {
  for (const [text, expected] of [
    ['10m', NOW - 600_000],
    ['-1h30m', NOW - 5_400_000],
    ['0', NOW],
    ['@1795651572', 1_795_651_572_000],
    ['@1.5', 1500],
    ['2026-11-26T10:00:00Z', Date.UTC(2026, 10, 26, 10)],
    ['2026-11-26t10:00:00z', Date.UTC(2026, 10, 26, 10)],
    ['2026-11-26T10:00:00.123456789+02:00', Date.UTC(2026, 10, 26, 8, 0, 0, 123)],
    ['2026-11-26', new Date(2026, 10, 26).getTime()],
    ['2026-11-26 10:01', new Date(2026, 10, 26, 10, 1).getTime()],
    ['2026-11-26 10:01:02', new Date(2026, 10, 26, 10, 1, 2).getTime()],
  ] as const) {
    it(`takes ${text}`, () => assert.equal(parseSince(text, NOW), expected));
  }
  for (const text of ['', 'yesterday', '10', '@', '@x', '2026-13-01', '2026-11-26T', '2026-11-26 25:00']) {
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseSince(text, NOW), { code: 'bad-value' }));
  }
  it('takes every time that dates print', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }), (date) => {
        assert.equal(parseSince(date.toISOString(), NOW), date.getTime());
      }),
    );
  });
});
