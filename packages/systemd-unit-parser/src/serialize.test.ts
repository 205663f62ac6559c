// Writing: the canonical form, what stays of edited files, and that every unit reads back as it was.

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { deserialize } from './deserialize.ts';
import { unitText } from './deserialize.test.ts';
import { UnitError } from './errors.ts';
import { serialize, serializeOptions } from './serialize.ts';
import type { Unit, UnitOption } from './unit.ts';
import { comment, option, optionsOf, unitFromOptions, withoutValue, withValue, withValues } from './unit.ts';

const name = fc
  .string({
    minLength: 1,
    unit: fc.constantFrom('A', 'b', '-', ' ', '\\', '#', ';', '[', ']', '.', 'é', '\u00a0'),
  })
  .filter((text) => /^[^ [#;\t].*[^ ]$|^[^ [#;\t]$/.test(text));
const value = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(' ', '\\', '"', '%', '$', '=', ';', '#', '\t'),
      fc.string({ maxLength: 1, unit: 'grapheme' }),
    ),
  })
  .map((text) => text.replace(/[\n\r\0]/g, '').replace(/^[ \t]+|[ \t]+$/g, ''));
const section = fc.constantFrom('Unit', 'Service', 'X-Odd ] [', '');
const options = fc.array(fc.record({ section, name, value }));

const grouped = (list: readonly UnitOption[]): UnitOption[] => optionsOf(unitFromOptions(list));
const problems = { onProblem: () => undefined };

describe('serialize', () => {
  it('groups options by section in order of first appearance', () => {
    const text = serializeOptions([
      option('Unit', 'Description', 'x'),
      option('Service', 'ExecStart', '"/bin/x"'),
      option('Unit', 'After', 'a.service'),
      option('Unit', 'After', 'b.service'),
    ]);
    assert.equal(
      text,
      '[Unit]\nDescription=x\nAfter=a.service\nAfter=b.service\n\n[Service]\nExecStart="/bin/x"\n',
    );
  });

  it('writes nothing for nothing and a header for an empty section', () => {
    assert.equal(serializeOptions([]), '');
    assert.equal(
      serialize({ preamble: [comment('a\nb')], sections: [{ name: 'A', nodes: [] }] }),
      '# a\n# b\n\n[A]\n',
    );
  });

  it('writes what reads back as it was', () => {
    fc.assert(
      fc.property(options, (list) => {
        const text = serializeOptions(list);
        assert.deepEqual(optionsOf(deserialize(text)), grouped(list));
        assert.equal(serialize(deserialize(text)), text);
      }),
    );
  });

  it('protects a final backslash', () => {
    const list = [option('A', 'x', 'a\\'), option('A', 'y', 'b\\\\'), option('A', 'z', '\\\\\\')];
    assert.deepEqual(optionsOf(deserialize(serializeOptions(list))), list);
  });

  for (const bad of [
    option('A\n[B]', 'x', ''),
    option('A', '', ''),
    option('A', 'x=y', ''),
    option('A', ' x', ''),
    option('A', '#x', ''),
    option('A', '[x', ''),
    option('A', 'x\ny', ''),
    option('A', 'x', 'a\nExecStart=/bin/evil'),
    option('A', 'x', 'a\rb'),
    option('A', 'x', 'a\0b'),
    option('A', 'x', ' a'),
    option('A', 'x', 'a\t'),
  ]) {
    it(`refuses ${JSON.stringify(bad)}`, () => {
      assert.throws(
        () => serializeOptions([bad]),
        (error) => error instanceof UnitError && error.code === 'unrepresentable',
      );
    });
  }

  it('changes only the lines that were edited', () => {
    const text = '# mine\r\n[Unit]\r\nAfter = a\\\r\n  b\r\n; why\r\nWants=x\r\n\r\n[Install]\r\nWantedBy=y';
    let unit = withValues(deserialize(text), 'Unit', 'Wants', ['p', 'q']);
    unit = withValue(unit, 'Install', 'Also', 'z');
    unit = withValue(unit, 'New', 'k', 'v');
    assert.equal(
      serialize(unit),
      '# mine\r\n[Unit]\r\nAfter = a\\\r\n  b\r\n; why\r\nWants=p\r\nWants=q\r\n\r\n[Install]\r\nWantedBy=y\r\nAlso=z\r\n\r\n[New]\r\nk=v\r\n',
    );
  });

  it('closes a file that ended within a continuation before it adds to it', () => {
    for (const end of ['', '\n', '\r\n', '\r', '\n# c\n', '\n# c']) {
      const unit = withValue(deserialize(`[A]\nx=1\\${end}`), 'A', 'y', '2');
      assert.deepEqual(optionsOf(deserialize(serialize(unit))), [
        option('A', 'x', '1'),
        option('A', 'y', '2'),
      ]);
    }
  });

  it('does not trust the source of a node somebody changed', () => {
    const unit = deserialize('[A]\nx=1\n');
    const changed: Unit = {
      ...unit,
      sections: unit.sections.map((each) => ({
        ...each,
        name: 'B',
        nodes: each.nodes.map((node) => (node.kind === 'entry' ? { ...node, value: '2' } : node)),
      })),
    };
    assert.equal(serialize(changed), '[B]\nx=2\n');
  });

  it('keeps every other option through any edit of any file', () => {
    fc.assert(
      fc.property(unitText, value, (text, added) => {
        const unit = deserialize(text, problems);
        const before = optionsOf(unit).filter((each) => each.section !== 'Unit' || each.name !== 'Key');
        const edited = withValues(unit, 'Unit', 'Key', [added, 'second']);
        const after = optionsOf(deserialize(serialize(edited), problems));
        assert.deepEqual(
          after.filter((each) => each.section === 'Unit' && each.name === 'Key').map((each) => each.value),
          [added, 'second'],
        );
        assert.deepEqual(
          after.filter((each) => each.section !== 'Unit' || each.name !== 'Key'),
          before,
        );
        const removed = optionsOf(deserialize(serialize(withoutValue(unit, 'Unit', 'Key')), problems));
        assert.deepEqual(removed, before);
      }),
      { numRuns: runs(1000) },
    );
  });
});
