// Flags before and after the command, unique prefixes, quoted regions (contract stage0 1.2).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { COMMAND_TREE } from './command-tree.ts';
import { findCommand } from './find-command.ts';
import { GLOBAL_FLAGS } from './flags/global.ts';

const find = (line: string | readonly string[]): ReturnType<typeof findCommand> =>
  findCommand(COMMAND_TREE, typeof line === 'string' ? line.split(' ') : line, GLOBAL_FLAGS);

function found(line: string | readonly string[]): [path: string, rest: readonly string[]] {
  const result = find(line);
  assert.ok('path' in result, `no command in ${String(line)}`);
  return [result.path.join(' '), result.rest];
}

describe('findCommand', () => {
  const vectors: readonly (readonly [line: string, path: string, rest: string])[] = [
    ['run IMG', 'run', 'IMG'],
    [
      '--dir=D --pull-policy=new --insecure-options=image --debug fetch IMG',
      'fetch',
      '--dir=D --pull-policy=new --insecure-options=image --debug IMG',
    ],
    ['--no-store --debug fetch IMG', 'fetch', '--no-store --debug IMG'],
    ['--pretty-print=false config', 'config', '--pretty-print=false'],
    ['--set-env=A=b run IMG', 'run', '--set-env=A=b IMG'],
    ['--dir D --debug list', 'list', '--dir D --debug'],
    ['--user-config run run IMG', 'run', '--user-config run IMG'],
    ['-h run', 'run', '-h'],
    ['--help image list', 'image list', '--help'],
    ['image --debug list --full', 'image list', '--debug --full'],
    ['im li', 'image list', ''],
    ['ver', 'version', ''],
    ['prep IMG', 'prepare', 'IMG'],
    ['image fetch IMG', 'image fetch', 'IMG'],
    ['image', 'image', ''],
    ['--debug', '', '--debug'],
    ['run run', 'run', 'run'],
  ];
  for (const [line, path, rest] of vectors) {
    it(`finds ${JSON.stringify(path)} in ${line}`, () => {
      assert.deepEqual(found(line), [path, rest === '' ? [] : rest.split(' ')]);
    });
  }

  it('takes run for itself although it is a prefix of run-prepared', () => {
    assert.equal(found('run-p U')[0], 'run-prepared');
  });

  it('does not look into quoted regions', () => {
    assert.equal(found(['--x="a', 'run', 'b"', 'list'])[0], 'list');
    assert.equal(found(['"a', 'run"', 'list'])[0], 'list');
  });

  it('skips empty words', () => {
    assert.equal(found(['', 'list'])[0], 'list');
  });

  for (const [line, parent, matches] of [
    ['nope', '', []],
    ['st', '', ['status', 'stop']],
    ['image nope', 'image', []],
    ['image e', 'image', ['export', 'extract']],
  ] as const) {
    it(`does not know ${line}`, () => {
      const result = find(line);
      assert.ok('unknown' in result);
      assert.equal(result.parentPath.join(' '), parent);
      assert.deepEqual(result.matches, matches);
    });
  }

  it('loses no token but the words of the command', () => {
    const token = fc.oneof(
      fc.string(),
      fc.constantFrom('run', 'image', 'list', '--debug', '--dir', '--x=y', '--', '-h', '"', '="'),
    );
    fc.assert(
      fc.property(fc.array(token), (argv) => {
        const result = find(argv);
        if ('path' in result) assert.equal(result.rest.length + result.path.length, argv.length);
      }),
    );
  });
});
