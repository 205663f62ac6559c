// Looking things up and editing.

import assert from 'node:assert/strict';

import { deserialize } from './deserialize.ts';
import { serialize } from './serialize.ts';
import { hasSection, value, values, withValue, withValues } from './unit.ts';

const unit = deserialize(
  '[Unit]\nAfter=a\n[Service]\nExecStart=/1\n[Unit]\nAfter=b\nAfter=\nAfter=c\nAfter=d\nWants=x\nWants=\n',
);

describe('unit', () => {
  it('collects lists over sections of one name and honours resets', () => {
    assert.deepEqual(values(unit, 'Unit', 'After'), ['c', 'd']);
    assert.deepEqual(values(unit, 'Unit', 'Wants'), []);
    assert.deepEqual(values(unit, 'Unit', 'Nothing'), []);
    assert.deepEqual(values(unit, 'unit', 'After'), []);
  });
  it('takes the last value where there is one', () => {
    assert.equal(value(unit, 'Unit', 'After'), 'd');
    assert.equal(value(unit, 'Unit', 'Wants'), undefined);
    assert.equal(value(unit, 'Service', 'ExecStart'), '/1');
  });
  it('knows its sections', () => {
    assert.equal(hasSection(unit, 'Service'), true);
    assert.equal(hasSection(unit, 'Socket'), false);
  });
  it('adds to the last section of a name and keeps the blank line behind it', () => {
    const small = deserialize('[A]\nx=1\n\n[B]\ny=2\n');
    assert.equal(serialize(withValue(small, 'A', 'z', '3')), '[A]\nx=1\nz=3\n\n[B]\ny=2\n');
  });
  it('replaces where the first assignment stood, also over several sections', () => {
    const small = deserialize('[A]\n# about x\nx=1\ny=0\nx=2\n[B]\n[A]\nx=3\n');
    assert.equal(serialize(withValues(small, 'A', 'x', ['9'])), '[A]\n# about x\nx=9\ny=0\n[B]\n[A]\n');
    assert.equal(
      serialize(withValues(small, 'C', 'k', ['1', '2'])),
      '[A]\n# about x\nx=1\ny=0\nx=2\n[B]\n[A]\nx=3\n\n[C]\nk=1\nk=2\n',
    );
  });
});
