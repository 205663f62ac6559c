// Go's flag syntax and the flags of pods (contract stage0 1.3, 1.7, 1.8, 8.3; stage1 5.1).

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import * as basic from './specs/basic.ts';
import { failure, parse, run } from './testing/parse-line.ts';

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
    assert.match(
      await failure(run(`--set-env-file=${directory}/none`)),
      /: cannot open ".*none": no such file or directory$/,
    );
  });
});
