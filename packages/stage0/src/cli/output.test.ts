// Tables, ages, sizes and times as people read them (contract stage0 8.15, 10.1-10.4).

import assert from 'node:assert/strict';

import { createLogger } from '@rkt/diagnostics/logger';
import { wrap } from '@rkt/diagnostics/rkt-error';

import { absoluteTime, formatTable, humanSize, printListErrors, relativeTime } from './output.ts';

describe('formatTable', () => {
  it('pads with tabs to multiples of eight', () => {
    assert.equal(
      formatTable([
        ['UUID', 'APP', 'STATE'],
        ['0f746094', 'web', 'running'],
        ['', 'db', ''],
      ]),
      'UUID\t\tAPP\tSTATE\n0f746094\tweb\trunning\n\t\tdb\t',
    );
  });
  it('leaves at least one space after the longest cell', () => {
    assert.equal(formatTable([['1234567', 'x']]), '1234567\tx');
    assert.equal(formatTable([['12345678', 'x']]), '12345678\tx');
    assert.equal(
      formatTable([
        ['12345678', 'x'],
        ['1', 'y'],
      ]),
      '12345678\tx\n1\t\ty',
    );
  });
  it('counts characters, not code units', () => {
    assert.equal(formatTable([['ééééééé', 'x']]), 'ééééééé\tx');
    assert.equal(formatTable([['😀😀😀😀', 'x']]), '😀😀😀😀\tx');
  });
  it('escapes what would move the cursor', () => {
    assert.equal(formatTable([['a\x1b[2J\tb', 'x']]), 'a\\x1b[2J\\tb\tx');
  });
  it('of nothing is nothing', () => assert.equal(formatTable([]), ''));
});

describe('relativeTime', () => {
  const now = 1_600_000_000_000;
  const day = 86_400;
  const vectors: readonly (readonly [seconds: number, text: string])[] = [
    [0, 'now'],
    [1, '1 second ago'],
    [59, '59 seconds ago'],
    [60, '1 minute ago'],
    [119, '1 minute ago'],
    [120, '2 minutes ago'],
    [3599, '59 minutes ago'],
    [3600, '1 hour ago'],
    [7199, '1 hour ago'],
    [7200, '2 hours ago'],
    [day - 1, '23 hours ago'],
    [day, '1 day ago'],
    [2 * day, '2 days ago'],
    [7 * day, '1 week ago'],
    [14 * day, '2 weeks ago'],
    [29 * day, '4 weeks ago'],
    [30 * day, '1 month ago'],
    [60 * day, '2 months ago'],
    [359 * day, '11 months ago'],
    [360 * day, '1 year ago'],
    [540 * day, '2 years ago'],
    [720 * day, '2 years ago'],
    [36 * 360 * day, '36 years ago'],
    [37 * 360 * day, 'a long while ago'],
  ];
  for (const [seconds, text] of vectors) {
    it(`of ${seconds} s is ${text}`, () => assert.equal(relativeTime(now - seconds * 1000, now), text));
  }
  it('looks ahead', () => assert.equal(relativeTime(now + 90_000, now), '1 minute from now'));
  it('of an unknown time is a long while ago', () =>
    assert.equal(relativeTime(undefined), 'a long while ago'));
});

describe('humanSize', () => {
  for (const [bytes, text] of [
    [0, '0B'],
    [9, '9B'],
    [10, '10B'],
    [512, '512B'],
    [1023, '1023B'],
    [1024, '1.0KiB'],
    [9728, '9.5KiB'],
    [10 * 1024, '10KiB'],
    [17 * 1024 ** 2, '17MiB'],
    [1024 ** 3, '1.0GiB'],
    [1024n ** 6n, '1.0EiB'],
  ] as const) {
    it(`of ${bytes} is ${text}`, () => assert.equal(humanSize(bytes), text));
  }
});

describe('absoluteTime', () => {
  it('has the layout of the contract', () => {
    assert.match(
      absoluteTime(1_453_818_214_631),
      /^2016-01-2[567] \d\d:\d\d:34\.631 [+-]\d{4} ([A-Z]{3,5}|[+-]\d{2,4})$/,
    );
  });
  it('drops zeros at the end of the fraction, and a lone dot', () => {
    assert.match(absoluteTime(1_453_818_214_630), /:34\.63 /);
    assert.match(absoluteTime(1_453_818_214_000), /:34 /);
    assert.match(absoluteTime(1_453_818_214_000.9), /:34 /);
  });
  it('of an unknown time is the zero time', () => {
    assert.equal(absoluteTime(undefined), '0001-01-01 00:00:00 +0000 UTC');
  });
});

describe('printListErrors', () => {
  it('prints one block', () => {
    let written = '';
    const logger = createLogger({ prefix: 'list', write: (text) => (written += text) });
    printListErrors(
      [wrap('Unable to read pod U manifest:', new Error('no such file'))],
      'listing pods',
      logger,
    );
    assert.equal(
      written,
      [
        'list: 1 error(s) encountered when listing pods:',
        '-'.repeat(40),
        'Unable to read pod U manifest:',
        '  no such file',
        '-'.repeat(40),
        'misc:',
        "  rkt's appc version: 0.8.11",
        '',
        '',
      ].join('\n'),
    );
  });
});
