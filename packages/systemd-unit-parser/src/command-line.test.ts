// Quoting and splitting of Exec lines. systemd.test.ts asks systemd itself.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  quoteCommandLine,
  quoteWord,
  splitCommandLine,
  splitWords,
  unescapeArgument,
} from './command-line.ts';
import { UnitError } from './errors.ts';

const syntax = (error: unknown): boolean => error instanceof UnitError && error.code === 'syntax';

describe('quoteCommandLine', () => {
  for (const [argv, text] of [
    [['path', '"arg1"'], String.raw`"path" "\"arg1\""`],
    [['/bin/x', ''], '"/bin/x" ""'],
    [['$path$', '$argument'], '"$path$" "$$argument"'],
    [['%path%', '%argument'], '"%path%" "%%argument"'],
    [['/bin/x', 'a\nb\tc\x07\x1b\x7f'], String.raw`"/bin/x" "a\nb\tc\a\x1b\x7f"`],
    [['/bin/x', "it's", 'a\\b'], String.raw`"/bin/x" "it\'s" "a\\b"`],
    [['/bin/x', 'é ☃ \u00ad \u{e0001}'], '"/bin/x" "é ☃ \\u00ad \\U000e0001"'],
    [['/bin/x', '\ud800'], '"/bin/x" "\ufffd"'],
  ] as const) {
    it(`gives ${text}`, () => assert.equal(quoteCommandLine(argv), text));
  }
  it('doubles % of the program on request', () => {
    assert.equal(quoteCommandLine(['/bin/50%', '50%'], { escapeProgram: true }), '"/bin/50%%" "50%%"');
  });
  it('refuses NUL bytes and nothing', () => {
    assert.throws(
      () => quoteWord('a\0b'),
      (error) => error instanceof UnitError && error.code === 'unrepresentable',
    );
    assert.throws(() => quoteCommandLine([]), UnitError);
  });
  it('is undone by splitting', () => {
    const argument = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(argument), (args) => {
        const [command, ...others] = splitCommandLine(quoteCommandLine(['/bin/x', ...args]));
        assert.deepEqual(others, []);
        assert.deepEqual(command?.argv.slice(1).map(unescapeArgument), args);
      }),
    );
  });
});

describe('splitCommandLine', () => {
  it('reads quotes anywhere, escapes, prefixes and separators', () => {
    assert.deepEqual(
      splitCommandLine(String.raw`-+/bin/echo a"b c"d 'e"f' \x41\101\u00e9\s ; /bin/ls \; ";" ;`),
      [
        { prefix: '-+', argv: ['/bin/echo', 'ab cd', 'e"f', 'AAé '] },
        { prefix: '', argv: ['/bin/ls', ';', ';'] },
      ],
    );
  });
  it('puts bytes of one character together', () => {
    assert.deepEqual(splitWords(String.raw`\xc3\xa4 \303\244`), ['ä', 'ä']);
  });
  it('knows nothing of an empty line', () => {
    assert.deepEqual(splitCommandLine('  '), []);
    assert.deepEqual(splitWords(''), []);
  });
  for (const bad of [
    '"open',
    "a'b",
    '\\',
    '\\q',
    '\\x0',
    '\\x00',
    '\\u12',
    '\\ud800',
    '\\777',
    '\\U00110000',
  ]) {
    it(`refuses ${bad}`, () => assert.throws(() => splitWords(bad), syntax));
  }
  it('refuses a command without a program', () => {
    for (const bad of ['-', '""', '@ x']) assert.throws(() => splitCommandLine(bad), syntax);
  });
});
