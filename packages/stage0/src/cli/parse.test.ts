// Words and flags of all commands (contract stage0 1.1, 7.8, 8.16), and what holds for any command line.

import assert from 'node:assert/strict';

import { RktError } from '@rkt/diagnostics/rkt-error';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';
import yargsParser from 'yargs-parser';

import type { CommandSpec } from './command.ts';
import { COMMAND_TREE, type CommandNode } from './command-tree.ts';
import type { RunFlags } from './requests.ts';
import * as basic from './specs/basic.ts';
import * as images from './specs/images.ts';
import * as launch from './specs/launch.ts';
import * as pods from './specs/pods.ts';
import { failure, parse } from './testing/parse-line.ts';

describe('commands with words', () => {
  const accepts = async (spec: CommandSpec, line: string): Promise<boolean> => {
    const { args, flags } = await parse(spec, line === '' ? [] : line.split(' '));
    return spec.acceptsWords(args, flags);
  };
  it('say how many they take', async () => {
    for (const [spec, good, bad] of [
      [pods.rm, ['u', 'u u', '--uuid-file=f'], ['', '--uuid-file=f u']],
      [pods.status, ['u', '--uuid-file=f'], ['', 'u u', '--uuid-file=f u']],
      [pods.catManifest, ['u', '--uuid-file=f', '--uuid-file=f u'], ['', 'u u']],
      [pods.enter, ['u', 'u cmd'], ['']],
      [pods.exportPod, ['u f'], ['u', 'u f x']],
      [launch.runPrepared, ['u'], ['', 'u u']],
      [images.extract, ['i d'], ['i']],
      [images.rm, ['', 'i i'], []],
      [basic.version, ['', 'x y'], []],
    ] as const) {
      for (const line of good) assert.equal(await accepts(spec, line), true, line);
      for (const line of bad) assert.equal(await accepts(spec, line), false, line);
    }
  });
  it('leaves the flags of the command that enter runs alone', async () => {
    const { args, flags } = await parse<{ app?: string }>(pods.enter, '--app=a U ls --app=b -l'.split(' '));
    assert.deepEqual(args, ['U', 'ls', '--app=b', '-l']);
    assert.equal(flags.app, 'a');
    assert.deepEqual((await parse(pods.enter, ['U', '--', 'ls', '--', '-l'])).args, ['U', 'ls', '--', '-l']);
    assert.deepEqual((await parse(pods.enter, ['--', 'U', 'ls'])).args, ['U', 'ls']);
  });
  it('knows the waits of status', async () => {
    const wait = async (text: string): Promise<unknown> =>
      (await parse<{ waitMs?: number }>(pods.status, ['u', ...(text === '-' ? [] : [text])])).flags.waitMs;
    assert.equal(await wait('-'), undefined);
    for (const text of ['--wait', '--wait=', '--wait=true', '--wait=-5s'])
      assert.equal(await wait(text), Infinity, text);
    for (const text of ['--wait=false', '--wait=0']) assert.equal(await wait(text), undefined, text);
    assert.equal(await wait('--wait=1.5s'), 1500);
    assert.match(await failure(wait('--wait=x')), /"x" is neither a boolean nor a duration$/);
  });
  it('knows the formats and columns of lists', async () => {
    const list = await parse<{ fields: string[]; sort: string[] }>(images.list, [
      '--fields=Size,id',
      '--sort=name,size',
    ]);
    assert.deepEqual(list.flags.fields, ['size', 'id']);
    assert.deepEqual(list.flags.sort, ['name', 'size']);
    assert.equal(await failure(parse(images.list, ['--format=xml'])), 'Invalid format option: xml');
    assert.match(await failure(parse(images.list, ['--fields=id,id'])), /duplicated option "id"$/);
    assert.match(await failure(parse(images.list, ['--order=up'])), /wrong sort order$/);
  });
  it('knows durations', async () => {
    const { flags } = await parse<{ gracePeriodMs: number; expirePreparedMs: number }>(pods.gc, [
      '--grace-period=0',
    ]);
    assert.equal(flags.gracePeriodMs, 0);
    assert.equal(flags.expirePreparedMs, 86_400_000);
  });
});

describe('any command line', () => {
  const leaves = (node: CommandNode): CommandNode[] =>
    node.children === undefined ? [node] : node.children.flatMap(leaves);
  const token = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '--',
      '---',
      '-',
      '',
      '--debug',
      '--exec=/x',
      '--net',
      '--mount',
      '--volume=v,kind=empty',
      'IMG',
      '-h',
      '--memory',
    ),
    fc.string().map((text) => `--${text}`),
    fc
      .tuple(
        fc.constantFrom(
          'volume',
          'mount',
          'port',
          'net',
          'seccomp',
          'dir',
          'memory',
          'annotation',
          'set-env',
          'wait',
        ),
        fc.string(),
      )
      .map(([name, text]) => `--${name}=${text}`),
  );
  for (const node of leaves(COMMAND_TREE)) {
    it(`of ${node.name} parses or fails with a typed error`, async () => {
      const spec = await node.spec?.();
      assert.ok(spec !== undefined);
      await fc.assert(
        fc.asyncProperty(fc.array(token, { maxLength: 8 }), async (argv) => {
          try {
            await parse(spec, argv);
          } catch (error) {
            assert.ok(error instanceof RktError, String(error));
          }
        }),
        { numRuns: runs(60) },
      );
    });
  }

  it('of images gives back the images and arguments it was made of', async () => {
    const word = fc.string({ minLength: 1 }).filter((text) => !text.startsWith('-'));
    const argument = fc.string({ minLength: 1 }).filter((text) => text !== '---');
    const image = fc.tuple(word, fc.array(argument, { maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(fc.array(image, { maxLength: 4 }), async (wanted) => {
        const argv = wanted.flatMap(([name, args]) => [name, '--', ...args, '---']);
        const { apps } = await parse(launch.run, argv);
        assert.deepEqual(
          apps.map(({ image: name, args }) => [name, args]),
          wanted,
        );
      }),
    );
  });

  it('reads simple flags as yargs-parser does', async () => {
    const text = fc
      .string({ minLength: 1 })
      .filter((value) => !/["'\\`]/.test(value) && !value.startsWith('-'));
    const flag = fc.record({
      hostname: fc.option(text),
      ipc: fc.option(text),
      interactive: fc.option(fc.boolean()),
      'dns-search': fc.array(text, { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(flag, async (values) => {
        const argv = Object.entries(values).flatMap(([name, value]) =>
          (Array.isArray(value) ? value : value === null ? [] : [value]).map((item) => `--${name}=${item}`),
        );
        const theirs = yargsParser(argv, {
          string: ['hostname', 'ipc', 'dns-search'],
          boolean: ['interactive'],
          array: ['dns-search'],
          configuration: {
            'camel-case-expansion': false,
            'greedy-arrays': false,
          },
        });
        const { flags } = await parse<RunFlags>(launch.run, argv);
        assert.equal(flags.hostname, theirs['hostname'] ?? '');
        assert.equal(flags.ipc, theirs['ipc'] ?? '');
        assert.equal(flags.interactive, theirs['interactive'] ?? false);
        assert.deepEqual(flags.dnsSearch, theirs['dns-search'] ?? []);
      }),
    );
  });
});
