// Reading: what is an entry, what is kept, what is refused; and that nothing is lost.

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { deserialize } from './deserialize.ts';
import type { UnitProblem } from './deserialize.ts';
import { UnitError } from './errors.ts';
import { serialize } from './serialize.ts';
import { option, optionsOf } from './unit.ts';

function lenient(text: string): { problems: UnitProblem[]; options: unknown; text: string } {
  const problems: UnitProblem[] = [];
  const unit = deserialize(text, { onProblem: (problem) => problems.push(problem) });
  return { problems, options: optionsOf(unit), text: serialize(unit) };
}

/** Text made of the pieces that mean something in unit files, so that random files reach every rule. */
export const unitText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          '\n',
          '\r\n',
          '\\\n',
          '[Unit]\n',
          '[Service]\n',
          'Key=',
          'Description=a b',
        ),
      },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          '=',
          '\\',
          '#',
          ';',
          '[',
          ']',
          ' ',
          '\t',
          '\r',
          '\0',
          '"',
          '$X',
          '%n',
          '\uFEFF',
        ),
      },
      { weight: 2, arbitrary: fc.string({ maxLength: 6, unit: 'grapheme' }) },
    ),
    { maxLength: 40 },
  )
  .map((pieces) => pieces.join(''));

describe('deserialize', () => {
  it('reads sections, repeats, resets and comments', () => {
    const text =
      '# top\n\n[Unit]\nAfter=a.service\nAfter = b.service \n; more\n[Service]\nExecStart=\nExecStart=/bin/x\n';
    assert.deepEqual(optionsOf(deserialize(text)), [
      option('Unit', 'After', 'a.service'),
      option('Unit', 'After', 'b.service'),
      option('Service', 'ExecStart', ''),
      option('Service', 'ExecStart', '/bin/x'),
    ]);
    assert.equal(serialize(deserialize(text)), text);
  });

  it('joins continued lines with a space and skips comments inside them', () => {
    const text = '[Service]\nExecStart=/bin/echo a\\\n# not this\n  b \\\nc\nType=oneshot\\\n';
    assert.deepEqual(optionsOf(deserialize(text)), [
      option('Service', 'ExecStart', '/bin/echo a   b  c'),
      option('Service', 'Type', 'oneshot'),
    ]);
  });

  it('does not continue a line that ends in an escaped backslash or in a comment', () => {
    const text = '[A]\nx=1\\\\\n# c \\\ny=2\nz=a\\ \n';
    assert.deepEqual(optionsOf(deserialize(text)), [
      option('A', 'x', '1\\\\'),
      option('A', 'y', '2'),
      option('A', 'z', 'a\\'),
    ]);
  });

  it('ends lines at CR, LF, NUL and their pairs, as systemd does', () => {
    const text = '[A]\r\nx=1\ry=2\n\rz=3\0w=4';
    assert.deepEqual(
      optionsOf(deserialize(text)).map(({ name, value }) => `${name}${value}`),
      ['x1', 'y2', 'z3', 'w4'],
    );
    assert.equal(serialize(deserialize(text)), text);
  });

  it('keeps repeated and unknown sections apart and names as they are', () => {
    const unit = deserialize('[Service]\na=1\n[X-Mine]\nb c=2\n[Service]\na=3\n');
    assert.deepEqual(
      unit.sections.map(({ name }) => name),
      ['Service', 'X-Mine', 'Service'],
    );
  });

  it('strips only the white space systemd strips', () => {
    assert.deepEqual(optionsOf(deserialize('[A]\nx=\u00a0\t1\u00a0 \n')), [
      option('A', 'x', '\u00a0\t1\u00a0'),
    ]);
  });

  it('accepts a byte order mark at the start', () => {
    assert.deepEqual(optionsOf(deserialize('\uFEFF[A]\nx=1\n')), [option('A', 'x', '1')]);
  });

  for (const [text, message] of [
    ['[Unit]\nnothing\n', 'line 2: no "=" in "nothing"'],
    ['[Unit]\n\n = x\n', 'line 3: no name before "="'],
    ['[Unit\n', 'line 1: section header "[Unit" lacks "]"'],
    ['a=b\n', 'line 1: assignment outside of a section'],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => deserialize(text),
        (error: unknown) =>
          error instanceof UnitError && error.code === 'syntax' && error.message === message,
      );
      assert.equal(lenient(text).problems.length, 1);
      assert.equal(lenient(text).text, text);
    });
  }

  it('gives back any text byte for byte', () => {
    fc.assert(
      fc.property(unitText, (text) => assert.equal(lenient(text).text, text)),
      { numRuns: runs(2000) },
    );
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(lenient(text).text, text)));
  });

  it('gives back text it accepts without a problem handler', () => {
    fc.assert(
      fc.property(unitText, (text) => {
        if (lenient(text).problems.length === 0) assert.equal(serialize(deserialize(text)), text);
      }),
    );
  });
});
