// JSON texts in and out (contract stage0 10.3).

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { SpecError } from './errors.ts';
import { parseGoJson, stringifyGoJson } from './go-json.ts';
import { findJsonFault, MAX_DEPTH } from './json-syntax.ts';

const messageOf = (text: string): string => {
  try {
    parseGoJson(text, 'f');
  } catch (error) {
    assert.ok(error instanceof SpecError && error.code === 'bad-json');
    return error.message;
  }
  assert.fail(`accepted ${text}`);
};

describe('parseGoJson', () => {
  it('gives line, column, reason and the place marked', () => {
    assert.equal(
      messageOf('{\n  "a": 1,\n  "b" 2\n}'),
      'f: line 3, column 7: unexpected character, expected :\n      "b" 2\n          ^',
    );
    const where: Record<string, RegExp> = {
      '': /line 1, column 1: unexpected end, expected value/,
      '{"a":1': /line 1, column 7: unexpected end, expected , or }/,
      '[1,]': /column 4: unexpected character, expected value/,
      '{"a":1,}': /column 8: unexpected character, expected key/,
      '{a:1}': /column 2: unexpected character, expected key or }/,
      '[1 2]': /column 4: unexpected character, expected , or ]/,
      '1 2': /column 3: unexpected character, expected nothing more/,
      '[01]': /column 3: unexpected character, expected , or ]/,
      '["a\nb"]': /column 2: bad string/,
      '["\\x"]': /column 2: bad string/,
      '["a': /column 2: bad string/,
      "{'a':1}": /expected key or }/,
      '[NaN]': /expected value or ]/,
      nul: /expected value/,
      '[1}': /expected , or ]/,
      '\ufeff{}': /column 1: starts with a byte order mark/,
    };
    for (const [text, message] of Object.entries(where)) assert.match(messageOf(text), message);
  });
  it('shows a short excerpt without control characters', () => {
    const [, line, caret] = messageOf(`[${'"\u001b[31m",'.repeat(1000)}`).split('\n');
    assert.equal(line, '    ["\u001b[31m",'.replace('\u001b', '.') + line?.slice('    ["?[31m",'.length));
    assert.ok((line?.length ?? 0) <= 76 && (caret?.length ?? 0) <= 77);
    const long = messageOf(`{"a": "${'x'.repeat(5000)}" "b"}`);
    assert.ok(long.length < 300, long);
  });
  it('limits the depth', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    assert.ok(Array.isArray(parseGoJson(nested(MAX_DEPTH))));
    assert.match(messageOf(nested(MAX_DEPTH + 1)), /nested deeper than 1000 levels/);
    assert.match(messageOf('{"a":'.repeat(100_000)), /nested deeper than 1000 levels/);
    assert.match(messageOf(nested(100_000)), /nested deeper than 1000 levels/);
    assert.equal((parseGoJson(`[${'[],'.repeat(5000)}[]]`) as unknown[]).length, 5001);
  });
  it('keeps prototype keys as ordinary keys', () => {
    const value = parseGoJson('{"__proto__":{"polluted":1},"constructor":2}') as object;
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });
  it('agrees with the fault finder on every text', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '1',
      '-',
      '0',
      '.5',
      'e1',
      'true',
      'null',
      ' ',
      '\n',
      '\\u00e9',
      '\\',
      '\u0001',
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join('')),
      fc.json(),
    );
    fc.assert(
      fc.property(text, (json) => {
        let valid = true;
        try {
          JSON.parse(json);
        } catch {
          valid = false;
        }
        assert.equal(findJsonFault(json) === undefined, valid, json);
      }),
      { numRuns: runs(2000) },
    );
  });
});

describe('stringifyGoJson', () => {
  it('escapes what Go escapes', () => {
    assert.equal(
      stringifyGoJson({ 'a<b': '<>&\u2028\u2029\b\f\n\t"\\\u0001\u007fé\ud800' }),
      String.raw`{"a\u003cb":"\u003c\u003e\u0026\u2028\u2029\u0008\u000c\n\t\"\\\u0001${'\u007f'}é${'\ufffd'}"}`,
    );
    assert.equal(stringifyGoJson(String.raw`\b\u003c`), String.raw`"\\b\\u003c"`);
  });
  it('has a compact and an indented form', () => {
    const value = { a: [], b: {}, c: [1, { d: null }], e: undefined, f: true };
    assert.equal(stringifyGoJson(value), '{"a":[],"b":{},"c":[1,{"d":null}],"f":true}');
    assert.equal(
      stringifyGoJson(value, { indent: '\t' }),
      '{\n\t"a": [],\n\t"b": {},\n\t"c": [\n\t\t1,\n\t\t{\n\t\t\t"d": null\n\t\t}\n\t],\n\t"f": true\n}',
    );
  });
  it('keeps the order of Maps, which objects cannot for numeric keys', () => {
    assert.equal(
      stringifyGoJson(
        new Map([
          ['b', '1'],
          ['10', '2'],
          ['9', '3'],
        ]),
      ),
      '{"b":"1","10":"2","9":"3"}',
    );
  });
  it('is read back as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, '\t' as const), (value, indent) => {
        const text = stringifyGoJson(value, { indent });
        assert.deepEqual(parseGoJson(text), JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
