// The building blocks of the codecs: Go's reading rules (contract stage0 10.3).

import assert from 'node:assert/strict';

import {
  decodeOrThrow,
  defaulted,
  flag,
  given,
  integer,
  list,
  nullable,
  optional,
  required,
  struct,
  text,
} from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';

interface Part {
  readonly id: string;
  readonly count: number;
}

interface Thing extends Part {
  readonly tags?: readonly string[];
  readonly on?: boolean;
  readonly many?: readonly Part[];
}

const part = { id: required(text, 'id must be set'), count: defaulted(integer(0, 9), 1) };

const Thing: Codec<Thing> = struct<Thing>(
  'Thing',
  {
    ...part,
    tags: optional(list(text)),
    on: given(flag),
    many: nullable(list(struct<Part>('Part', part))),
  },
  (thing) => (thing.id === 'bad' ? refuse('bad thing') : thing),
);

const read = (value: unknown): Thing => decodeOrThrow(Thing, value, 'thing');

describe('struct', () => {
  it('matches keys in any case, the last of them wins', () => {
    assert.deepEqual(read({ ID: 'a', Count: 2 }), { id: 'a', count: 2 });
    assert.deepEqual(read({ id: 'a', iD: 'b' }), { id: 'b', count: 1 });
  });
  it('ignores unknown keys and keys of the prototype', () => {
    assert.deepEqual(read(JSON.parse('{"id":"a","x":1,"__proto__":{"count":5},"toString":1}')), {
      id: 'a',
      count: 1,
    });
  });
  it('takes null as missing', () => {
    assert.deepEqual(read({ id: 'a', count: null, tags: null, on: null }), { id: 'a', count: 1 });
    assert.deepEqual(read({ id: 'a', ID: null }), { id: 'a', count: 1 });
    assert.throws(() => read(null), { message: 'thing: id must be set' });
  });
  it('drops empty optional values and keeps given ones', () => {
    assert.deepEqual(read({ id: '', tags: [], on: false }), { id: '', count: 1, on: false });
  });
  it('writes keys in its own order, null for missing nullable ones', () => {
    assert.equal(
      JSON.stringify(Thing.encode({ on: false, tags: [], count: 2, id: 'a' })),
      '{"id":"a","count":2,"on":false,"many":null}',
    );
    assert.equal(
      JSON.stringify(Thing.encode({ id: 'a', count: 1, many: [] })),
      '{"id":"a","count":1,"many":[]}',
    );
  });
  it('tells values of its type from others', () => {
    assert.equal(Thing.is({ id: 'a', count: 1, tags: ['x'] }), true);
    for (const other of [null, [], {}, { id: 'a' }, { id: 1, count: 1 }, { id: 'a', count: 1, tags: [1] }]) {
      assert.equal(Thing.is(other), false);
    }
  });
});

describe('decodeOrThrow', () => {
  it('gives the first complaint with the path to it', () => {
    const messages: [value: unknown, message: string][] = [
      [{ id: 5, count: 'x' }, 'thing: id: expected a string, found a number'],
      [{ id: 'a', tags: ['x', false] }, 'thing: tags[1]: expected a string, found a boolean'],
      [
        { id: 'a', many: [{ id: 'b' }, { id: 'c', count: 10 }] },
        'thing: many[1].count: must be in 0-9 range',
      ],
      [{ id: 'a', many: [{}] }, 'thing: many[0]: id must be set'],
      [{ id: 'bad' }, 'thing: bad thing'],
      [[], 'thing: expected an object, found a list'],
      ['x', 'thing: expected an object, found a string'],
      [{ id: 'a', on: 1 }, 'thing: on: expected true or false, found a number'],
      [{ id: 'a', tags: {} }, 'thing: tags: expected a list, found an object'],
      [{ id: 'a', count: 1.5 }, 'thing: count: must be in 0-9 range'],
    ];
    for (const [value, message] of messages) {
      assert.throws(() => read(value), { code: 'bad-manifest', message });
    }
  });
  it('replaces lone surrogates', () => {
    assert.equal(read({ id: 'a\ud800' }).id, 'a\ufffd');
  });
  it('lets bugs through', () => {
    const broken = struct<object>('Broken', {}, () => {
      throw new TypeError('bug');
    });
    assert.throws(() => decodeOrThrow(broken, {}, ''), TypeError);
  });
});
