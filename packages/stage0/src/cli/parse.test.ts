// Whole command lines: Go's flag syntax, the grammar of images, and their errors (contract stage0 1.3, 1.4, 8.3, 8.6).

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { errorChain, RktError } from '@rkt/diagnostics/rkt-error';
import fc from 'fast-check';
import yargsParser from 'yargs-parser';

import type { CommandSpec } from './command.ts';
import { COMMAND_TREE, type CommandNode } from './command-tree.ts';
import { finishInvocation, parseOwnFlags } from './parse.ts';
import type { FetchFlags, Invocation, RunFlags } from './requests.ts';
import * as basic from './specs/basic.ts';
import * as images from './specs/images.ts';
import * as launch from './specs/launch.ts';
import * as pods from './specs/pods.ts';

async function parse<Flags = unknown>(
  spec: CommandSpec,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Invocation<Flags> & { readonly notes: readonly string[]; readonly help: boolean }> {
  const notes: string[] = [];
  const context = { env, cwd: () => '/work dir', note: (line: string) => void notes.push(line) };
  const parsed = await parseOwnFlags(spec, argv, context);
  const { invocation, help } = finishInvocation(spec, 'x', parsed, context);
  return { ...(invocation as Invocation<Flags>), notes, help: help || parsed.help };
}

const run = (line: string, env?: Record<string, string>): ReturnType<typeof parse<RunFlags>> =>
  parse<RunFlags>(launch.run, line === '' ? [] : line.split(' '), env);

// All messages of the error, outermost first.
async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return errorChain(error)
      .map(({ message }) => message)
      .join(': ');
  }
  return assert.fail('no error');
}

describe('flags', () => {
  it('take their value after = or from the next token', async () => {
    const { flags } = await run('--hostname=a --ipc private --dns-domain=x=y');
    assert.equal(flags.hostname, 'a');
    assert.equal(flags.ipc, 'private');
    assert.equal(flags.dnsDomain, 'x=y');
  });
  it('with an optional value leave the next token alone', async () => {
    const { flags, apps } = await run('--net IMG --interactive --no-overlay=false OTHER');
    assert.deepEqual(flags.net, ['default']);
    assert.equal(flags.interactive, true);
    assert.equal(flags.noOverlay, false);
    assert.deepEqual(
      apps.map(({ image }) => image),
      ['IMG', 'OTHER'],
    );
  });
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) {
    it(`take ${text} for true`, async () =>
      assert.equal((await run(`--interactive=${text}`)).flags.interactive, true));
  }
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) {
    it(`take ${text} for false`, async () =>
      assert.equal(
        (await parse<{ prettyPrint: boolean }>(basic.config, [`--pretty-print=${text}`])).flags.prettyPrint,
        false,
      ));
  }
  it('end at --, and a dash alone or nothing at all is a word', async () => {
    const { args, global } = await parse(basic.config, ['a', '-', '', '--debug', '--', '--dir', '-x']);
    assert.deepEqual(args, ['a', '-', '', '--dir', '-x']);
    assert.equal(global.debug, true);
  });
  it('of directories become absolute', async () => {
    const { global } = await parse(basic.config, ['--dir=a/../b/', '--user-config', '/x//y/']);
    assert.equal(global.dir, '/work dir/b');
    assert.equal(global.userConfig, '/x/y');
    assert.equal(global.systemConfig, '/usr/lib/rkt');
    assert.equal((await parse(basic.config, [])).global.dir, undefined);
  });
  it('ask for help in any place', async () => {
    for (const line of ['--help', '-h', 'IMG --help', '-h=true', '--help=1', 'IMG -h']) {
      assert.equal((await run(line)).help, true, line);
    }
    assert.equal((await run('IMG --help=false')).help, false);
    assert.deepEqual((await run('IMG -- --help')).apps[0]?.args, ['--help']);
  });

  const errors: readonly (readonly [line: string, message: string])[] = [
    ['--nope', 'unknown flag: --nope'],
    ['--nope=x', 'unknown flag: --nope'],
    ['--constructor', 'unknown flag: --constructor'],
    ['--__proto__=1', 'unknown flag: --__proto__'],
    ['-cde', "unknown shorthand flag: 'c' in -cde"],
    ['--hostname', 'flag needs an argument: --hostname'],
    ['--=x', 'bad flag syntax: --=x'],
    ['---', 'bad flag syntax: ---'],
    [
      '--interactive=maybe',
      'invalid argument "maybe" for --interactive=maybe: "maybe" is not a boolean, use true or false',
    ],
    ['--dir=', 'invalid argument "" for --dir=: "" is not a valid directory'],
    ['--insecure-options=x', 'invalid argument "x" for --insecure-options=x: unknown option "x"'],
    [
      '--insecure-options image,IMAGE',
      'invalid argument "image,IMAGE" for --insecure-options: duplicated option "image"',
    ],
    ['--exec=/x IMG', 'invalid argument "/x" for --exec=/x: --exec must follow an image'],
    ['--memory 16M IMG', 'invalid argument "16M" for --memory: --memory must follow an image'],
    [
      '--pull-policy=sometimes',
      'invalid argument "sometimes" for --pull-policy=sometimes: pull policy must be one of new, update, never',
    ],
  ];
  for (const [line, message] of errors) {
    it(`refuse ${line}`, async () => assert.equal(await failure(run(line)), message));
  }
  it('that are deprecated work and say so', async () => {
    const { notes, flags, apps } = await run('--no-store IMG --cap-retain=CAP_KILL');
    assert.deepEqual(notes, [
      'Flag --no-store has been deprecated, please use --pull-policy=update',
      'Flag --cap-retain has been deprecated, use --caps-retain instead',
    ]);
    assert.equal(flags.noStore, true);
    assert.equal(flags.pullPolicy, 'update');
    assert.deepEqual(apps[0]?.capsRetain, ['CAP_KILL']);
  });
});

describe('--insecure-options', () => {
  const on = async (line: string): Promise<string[]> =>
    Object.entries((await run(line)).global.insecure)
      .filter(([, value]) => value)
      .map(([name]) => name);
  it('knows groups, any case, and nothing', async () => {
    assert.deepEqual(await on('--insecure-options=ALL-run'), ['capabilities', 'paths', 'seccomp']);
    assert.deepEqual(await on('--insecure-options=all-fetch'), ['image', 'tls', 'http', 'pubkey']);
    assert.deepEqual(await on('--insecure-options=all'), [
      'image',
      'tls',
      'http',
      'pubkey',
      'capabilities',
      'paths',
      'seccomp',
    ]);
    assert.deepEqual(await on('--insecure-options='), []);
    assert.deepEqual(await on('--insecure-options=none'), []);
    assert.deepEqual(await on('--insecure-options=image,ondisk'), ['image', 'onDisk']);
  });
  it('counts the last time, also behind an image', async () => {
    assert.deepEqual(await on('--insecure-options=image IMG --insecure-options=tls'), ['tls']);
  });
});

describe('--net', () => {
  it('accumulates', async () => {
    assert.deepEqual((await run('--net=a,b:IP=1;X=2 --net --net=none')).flags.net, [
      'a',
      'b:IP=1;X=2',
      'default',
      'none',
    ]);
    assert.deepEqual((await run('IMG')).flags.net, []);
  });
  for (const [value, reason] of [
    ['', 'netname must not be empty'],
    ['a,', 'netname must not be empty'],
    [':x=y', 'netname must not be empty'],
    ['a,a', 'found duplicate netname "a"'],
    ['all:x=y', 'arguments are not supported by special netname "all"'],
    ['host:', 'arguments are not supported by special netname "host"'],
    ['a:b:c', 'network "a" provided with invalid arguments: [b c]'],
  ] as const) {
    it(`refuses ${JSON.stringify(value)}`, async () => {
      assert.equal(
        await failure(run(`--net=${value}`)),
        `invalid argument "${value}" for --net=${value}: ${reason}`,
      );
    });
  }
  it('finds a duplicate over several flags', async () => {
    assert.match(await failure(run('--net=a --net=b,a:x=y')), /found duplicate netname "a"$/);
  });
});

describe('stage1 flags', () => {
  it('are one choice', async () => {
    assert.deepEqual((await run('--stage1-from-dir=x.aci')).flags.stage1, {
      kind: 'from-dir',
      value: 'x.aci',
    });
    assert.deepEqual((await run('--stage1-image x.aci')).flags.stage1, { kind: 'image', value: 'x.aci' });
    assert.match(await failure(run('--stage1-path=a --stage1-path=b')), /: --stage1-path already used$/);
    assert.match(
      await failure(run('--stage1-path=a --stage1-url=b')),
      /: flags --stage1-path and --stage1-url are mutually exclusive$/,
    );
    assert.match(
      await failure(run('--stage1-image=a IMG --stage1-hash=b')),
      /flags --stage1-image and --stage1-hash are mutually exclusive$/,
    );
    assert.match(await failure(run('--stage1-image=')), /the stage1 image is empty$/);
  });
  it('come before RKT_STAGE1_IMAGE', async () => {
    const env = { RKT_STAGE1_IMAGE: '/env.aci' };
    assert.deepEqual((await run('IMG', env)).flags.stage1, { kind: 'image', value: '/env.aci' });
    assert.deepEqual((await run('--stage1-name=n', env)).flags.stage1, { kind: 'name', value: 'n' });
    assert.equal((await run('IMG', { RKT_STAGE1_IMAGE: '' })).flags.stage1, undefined);
  });
});

describe('environment flags', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'rkt-cli-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  const file = (name: string, text: string): string => {
    const target = path.join(directory, name);
    writeFileSync(target, text);
    return target;
  };

  it('are split at the first =', async () => {
    assert.deepEqual((await run('--set-env=A=b=c --set-env B=')).flags.setEnv, [
      { name: 'A', value: 'b=c' },
      { name: 'B', value: '' },
    ]);
    assert.deepEqual((await run('IMG --environment=A=1 --environment=A=2')).apps[0]?.environment, { A: '2' });
  });
  for (const [value, reason] of [
    ['A', 'must be specified as key=value'],
    ['=x', 'environment variable name must not be empty'],
    ['1=x', 'environment variable does not have valid identifier "1"'],
  ] as const) {
    it(`refuse ${value}`, async () =>
      assert.ok((await failure(run(`--set-env=${value}`))).endsWith(`: ${reason}`)));
  }
  it('refuse a key twice', async () => {
    assert.match(await failure(run('--set-env=A=b --set-env=A=c')), /: key "A" already set$/);
  });
  it('are read from files as they stand', async () => {
    const one = file('one', '# c\n; c\n\nA=b \r\nQ="x"\n');
    assert.deepEqual((await run(`--set-env-file=${one}`)).flags.setEnvFile, [
      { name: 'A', value: 'b \r' },
      { name: 'Q', value: '"x"' },
    ]);
    const again = file('again', 'X=1\nA=2\n');
    assert.match(
      await failure(run(`--set-env-file=${one} --set-env-file=${again}`)),
      /again" line 2: key "A" already set$/,
    );
    assert.match(
      await failure(run(`--set-env-file=${file('bad', 'nonsense')}`)),
      /bad" line 1: must be specified as key=value$/,
    );
    assert.match(await failure(run(`--set-env-file=${directory}/none`)), /no such file/);
  });
});

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
    ['a --stdin=log', `${context}invalid argument "log" for --stdin=log: invalid stdin mode "log"`],
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
        { numRuns: 60 },
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
