// Images, their flags and their arguments (contract stage0 1.4, 8.3, 8.6, 11.6).

import assert from 'node:assert/strict';

import type { CommandSpec } from './command.ts';
import type { FetchFlags } from './requests.ts';
import * as launch from './specs/launch.ts';
import { failure, parse, run } from './testing/parse-line.ts';

describe('images', () => {
  const shape = async (
    argv: readonly string[],
    spec: CommandSpec = launch.run,
  ): Promise<(readonly [string, readonly string[]])[]> =>
    (await parse(spec, argv)).apps.map(({ image, args }) => [image, args] as const);

  const vectors: readonly (readonly [string, (readonly [string, readonly string[]])[]])[] = [
    [
      'a b -- --help --- c -- --verbose',
      [
        ['a', []],
        ['b', ['--help']],
        ['c', ['--verbose']],
      ],
    ],
    [
      'a --- b --- c ---',
      [
        ['a', []],
        ['b', []],
        ['c', []],
      ],
    ],
    [
      'a  b',
      [
        ['a', []],
        ['b', []],
      ],
    ],
    ['a -- -- --foo --', [['a', ['--', '--foo', '--']]]],
    [
      'a -- x --- --debug b -- y',
      [
        ['a', ['x']],
        ['b', ['y']],
      ],
    ],
    ['- -- x', [['-', ['x']]]],
    ['', []],
  ];
  for (const [line, expected] of vectors) {
    it(`reads ${JSON.stringify(line)}`, async () => assert.deepEqual(await shape(line.split(' ')), expected));
  }
  it('keeps empty arguments of the app out, as it skips empty words', async () => {
    assert.deepEqual(await shape(['a', '', 'b']), [
      ['a', []],
      ['b', []],
    ]);
  });
  it('gives flags to the image before them', async () => {
    const { apps, flags } = await run(
      'a --exec=/x --user root --set-env=A=b b --exec=/y --oom-score-adj 42 -- args',
    );
    assert.deepEqual(
      apps.map(({ exec, user, oomScoreAdj, args }) => [exec, user, oomScoreAdj, args]),
      [
        ['/x', 'root', undefined, []],
        ['/y', undefined, 42, ['args']],
      ],
    );
    assert.deepEqual(flags.setEnv, [{ name: 'A', value: 'b' }]);
  });
  it('tells mounts of all apps from those of one', async () => {
    const { apps, flags } = await run(
      '--volume=v,kind=empty --mount=volume=v,target=/all a --mount volume=v,target=/one',
    );
    assert.deepEqual(flags.mounts, [{ volume: 'v', path: '/all' }]);
    assert.deepEqual(apps[0]?.mounts, [{ volume: 'v', path: '/one' }]);
  });

  const context = 'error parsing app image arguments: ';
  const errors: readonly (readonly [line: string, message: string])[] = [
    ['-- x', `${context}an image is required before any app arguments`],
    ['a -- x --- -- y', `${context}only one set of app arguments allowed per image`],
    [
      'a --exec=/x --exec=/y',
      `${context}invalid argument "/y" for --exec=/y: --exec specified multiple times for the same image`,
    ],
    ['a --nope', `${context}unknown flag: --nope`],
    [
      'a --caps-retain=A --caps-remove=B',
      `${context}cannot use both --caps-retain and --caps-remove on the same image`,
    ],
    ['a --mount=volume=v,target=/x/../y', `${context}dangling mount point "/y": volume "v" not found`],
    ['--mount=volume=v,target=/x a', `${context}dangling mount point "/x": volume "v" not found`],
    ['a --readonly-rootfs', `${context}flag needs an argument: --readonly-rootfs`],
    [
      'a --annotation=x',
      `${context}invalid argument "x" for --annotation=x: invalid format of --annotation flag "x"`,
    ],
    [
      'a --user-label=x',
      `${context}invalid argument "x" for --user-label=x: invalid format of --user-label flag "x"`,
    ],
    [
      'a --environment=x',
      `${context}invalid argument "x" for --environment=x: invalid format of --environment flag "x"`,
    ],
    [
      'a --memory=1',
      `${context}invalid argument "1" for --memory=1: memory limit of 1 bytes too low, use at least 4096`,
    ],
    [
      'a --cpu-shares=1',
      `${context}invalid argument "1" for --cpu-shares=1: 1 is out of range, use 2 to 262144`,
    ],
    [
      'a --name=Bad!',
      `${context}invalid argument "Bad!" for --name=Bad!: ACName must contain only lower case alphanumeric characters plus "-"`,
    ],
    [
      'a --volume=v,kind=empty --volume=v,kind=empty',
      `${context}invalid argument "v,kind=empty" for --volume=v,kind=empty: duplicate volume name "v"`,
    ],
  ];
  for (const [line, message] of errors) {
    it(`refuses ${line}`, async () => assert.equal(await failure(run(line)), message));
  }

  it('has streams, each with its modes', async () => {
    const [app] = (await run('a --stdin=tty --stdout=log --stderr=interactive')).apps;
    assert.deepEqual([app?.stdin, app?.stdout, app?.stderr], ['tty', 'log', 'interactive']);
    assert.match(await failure(run('a --stdin=log')), /: invalid stdin mode "log"$/);
  });

  it('has quantities in canonical form', async () => {
    const [app] = (
      await run('a --memory=16M --cpu=1.5 --cpu-shares=2048 --supplementary-gids=1,2 --supplementary-gids=3')
    ).apps;
    assert.equal(app?.memory, '16M');
    assert.equal(app?.cpu, '1500m');
    assert.equal(app?.cpuShares, 2048);
    assert.deepEqual(app?.supplementaryGids, [1, 2, 3]);
  });

  it('of fetch have signatures and no arguments', async () => {
    const { apps, flags } = await parse<FetchFlags>(launch.fetch, 'a --signature=s b --full'.split(' '));
    assert.deepEqual(
      apps.map(({ image, signature }) => [image, signature]),
      [
        ['a', 's'],
        ['b', undefined],
      ],
    );
    assert.equal(flags.full, true);
    assert.equal(flags.pullPolicy, 'update');
    assert.equal(
      await failure(parse(launch.fetch, ['a', '--', 'x'])),
      'unable to parse arguments: app arguments unsupported',
    );
    assert.match(
      await failure(parse(launch.fetch, ['a', '--signature=x', '--signature=y'])),
      /--signature specified multiple times for the same image$/,
    );
  });
});

describe('--seccomp', () => {
  const seccomp = async (value: string): Promise<unknown> =>
    (await run(`a --seccomp=${value}`)).apps[0]?.seccomp;
  it('reads mode, errno and calls', async () => {
    assert.deepEqual(await seccomp('mode=retain,errno=EPERM,chmod,chown'), {
      mode: 'retain',
      set: ['chmod', 'chown'],
      errno: 'EPERM',
    });
    assert.deepEqual(await seccomp('mode=remove,reboot'), { mode: 'remove', set: ['reboot'], errno: '' });
  });
  for (const [value, message] of [
    ['chmod', /invalid seccomp mode command-line override/],
    ['mode=x,chmod', /invalid seccomp mode command-line override/],
    ['mode=retain', /set must be non-empty/],
    ['mode=retain,x=y,chmod', /invalid seccomp command-line override/],
    ['mode=retain,errno=perm,chmod', /invalid errno "perm"/],
  ] as const) {
    it(`refuses ${value}`, async () => assert.match(await failure(seccomp(value)), message));
  }
});
