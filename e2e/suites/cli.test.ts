// The command line itself: commands, flags, help, errors, exit statuses (contract stage0 1).

import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';

import { RKT_BIN } from '../lib/environment.ts';
import { execute } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { bareRkt, expectStatus, FAILURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const NOBODY = 65534;
const ROOT_COMMANDS = [
  ['enter', 'x'],
  ['gc'],
  ['prepare', 'x.aci'],
  ['rm', 'x'],
  ['run', 'x.aci'],
  ['run-prepared', 'x'],
];

suite('command line', [], (the) => {
  describe('finding the command', () => {
    it('says that it misses one, with help on stdout and status 2', async () => {
      const result = expectStatus(await bareRkt([]), 2);
      assert.match(result.stderr, /^rkt: missing command$/m);
      assert.match(result.stdout, /COMMANDS:/);
    });
    for (const args of [['nonsense'], ['c'], ['image', 'nonsense'], ['i', 'e']]) {
      it(`refuses ${args.join(' ')}`, async () => {
        const result = expectStatus(await bareRkt(args), FAILURE);
        assert.match(result.stderr, /unknown command "/);
      });
    }
    it('names the unknown command and the program', async () => {
      const { stderr } = await bareRkt(['nonsense']);
      assert.match(stderr, /^Error: unknown command "nonsense" for "rkt"$/m);
      assert.match(stderr, /rkt --help/);
    });
    it('accepts prefixes that fit one command', async () => {
      assert.match(expectStatus(await bareRkt(['ver']), 0).stdout, /^rkt Version: /);
      await the.rkt.ok(['im', 'li']);
    });
    it('takes flags of the command before its name', async () => {
      await the.rkt.ok(['--format=json', 'image', 'list']);
      await the.rkt.ok(['--no-legend=true', 'list']);
      await the.rkt.ok(['--pretty-print=false', 'config']);
      const { data, localConfig } = the.rkt;
      expectStatus(await bareRkt(['--dir', data, '--debug', 'list', '--local-config', localConfig]), 0);
    });
    it('takes global flags behind the command', async () => {
      await the.rkt.ok(['list', '--debug', '--insecure-options=image']);
      expectStatus(await bareRkt(['image', 'list', '--dir', the.rkt.data]), 0);
    });
  });

  describe('help', () => {
    it('is the same by flag and by command', async () => {
      for (const path of [['run'], ['image', 'list'], []]) {
        const byFlag = expectStatus(await bareRkt([...path, '--help']), 0);
        const byCommand = expectStatus(await bareRkt(['help', ...path]), 0);
        assert.equal(byFlag.stdout, byCommand.stdout);
        assert.match(byFlag.stdout, /^NAME:/);
        assert.match(byFlag.stdout, /^USAGE:/m);
        assert.match(byFlag.stdout, /^GLOBAL OPTIONS:/m);
        assert.equal(byFlag.stderr, '');
      }
    });
    it('wins over missing arguments and over the root check', async () => {
      assert.match(expectStatus(await bareRkt(['run', '-h']), 0).stdout, /--volume/);
    });
    it('lists no hidden and no deprecated flags', async () => {
      const { stdout } = await bareRkt(['run', '--help']);
      for (const flag of ['--store-only', '--no-store', '--cap-retain', '--cpuprofile']) {
        assert.ok(!stdout.includes(flag), flag);
      }
    });
    it('of a group is printed when the group stands alone', async () => {
      assert.match(expectStatus(await bareRkt(['image']), 0).stdout, /image cat-manifest/);
    });
  });

  describe('version and completion', () => {
    it('prints five lines', async () => {
      const { stdout } = expectStatus(await bareRkt(['version']), 0);
      const keys = stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/: .*/, ''));
      assert.deepEqual(keys, ['rkt Version', 'appc Version', 'Go Version', 'Go OS/Arch', 'Features']);
      assert.match(stdout, /^appc Version: 0\.8\.11$/m);
    });
    it('prints a script bash accepts', async () => {
      const { stdout } = expectStatus(await bareRkt(['completion', 'bash']), 0);
      expectStatus(await execute('bash', ['-n'], { input: stdout }), 0);
      const probe = `${stdout}\nCOMP_WORDS=(rkt ver); COMP_CWORD=1; COMP_LINE='rkt ver'; COMP_POINT=7
        f=$(complete -p rkt | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f rkt ver rkt; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const answer = await execute('bash', [], { input: probe });
      assert.match(answer.stdout, /^version *$/m);
    });
    for (const shell of ['fish', 'zsh']) {
      it(`prints a script ${shell} accepts`, async function () {
        requires(this, `program:${shell}`);
        const { stdout } = expectStatus(await bareRkt(['completion', shell]), 0);
        const script = the.rkt.tmp.join(`completion.${shell}`);
        writeFileSync(script, stdout);
        expectStatus(await execute(shell, ['-n', script]), 0);
      });
    }
    for (const args of [[], ['csh'], ['bash', 'bash']]) {
      it(`refuses completion ${args.join(' ')}`, async () => {
        const result = expectStatus(await bareRkt(['completion', ...args]), FAILURE);
        assert.notEqual(result.output, '');
      });
    }
  });

  describe('flags', () => {
    for (const [args, message] of [
      [['list', '--nope'], 'unknown flag: --nope'],
      [['list', '--nope=1'], 'unknown flag: --nope'],
      [['list', '-cde'], "unknown shorthand flag: 'c' in -cde"],
      [['list', '--format'], 'flag needs an argument: --format'],
      [['list', '--=x'], 'bad flag syntax: --=x'],
      [['list', '--no-legend=perhaps'], 'invalid argument "perhaps" for --no-legend=perhaps'],
      [['gc', '--grace-period=soon'], 'invalid argument "soon" for --grace-period=soon'],
      [['list', '--insecure-options=foo'], 'unknown option "foo"'],
      [['list', '--insecure-options=image,tls,image'], 'duplicated option "image"'],
      [['list', '--dir='], '"" is not a valid directory'],
    ] as const) {
      it(`refuses ${args.join(' ')}`, async () => {
        const result = expectStatus(await bareRkt(args), FAILURE);
        assert.ok(
          result.stderr.includes(`Error: ${message}`) || result.stderr.includes(message),
          result.output,
        );
        assert.match(result.stderr, /^Error: /m);
        assert.match(result.stdout, /USAGE:/);
        assert.ok(result.stdout.endsWith('\n\n') || result.stdout.endsWith('\n'), 'usage ends its line');
      });
    }
    for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False']) {
      it(`takes ${value} for a boolean`, () =>
        the.rkt.ok(['list', `--no-legend=${value}`]).then(() => undefined));
    }
    it('takes values as the next word, also empty ones and lists in any case', async () => {
      await the.rkt.ok(['list', '--format', 'json']);
      await the.rkt.ok(['list', '--insecure-options', '']);
      await the.rkt.ok(['list', '--insecure-options=IMAGE,Tls']);
      await the.rkt.ok(['list', '--insecure-options=foo'.replace('foo', 'all'), '--insecure-options=none']);
    });
    it('does not take the next word for a flag with an optional value', async () => {
      // `json` would be an error if --no-legend swallowed nothing and list took arguments; list ignores none.
      const result = await the.rkt.run(['list', '--no-legend', 'false']);
      assert.equal(result.status, FAILURE);
    });
    it('warns of deprecated flags and obeys them', async () => {
      const result = await the.rkt.run(['fetch', '--store-only', 'example.com/nothing']);
      assert.match(result.stderr, /^Flag --store-only has been deprecated, /m);
      await the.rkt.fails(
        ['fetch', '--store-only', '--no-store', 'x.aci'],
        'both --store-only and --no-store specified',
      );
    });
    it('knows Go durations', async function () {
      requires(this, 'root');
      for (const value of ['0', '0s', '1h30m', '1.5h', '100ms', '10us', '10µs', '+5m']) {
        await the.rkt.ok(['gc', `--grace-period=${value}`]);
      }
    });
  });

  describe('positional arguments', () => {
    for (const args of [
      ['cat-manifest'],
      ['status'],
      ['status', 'a', 'b'],
      ['stop'],
      ['export', 'a'],
      ['image', 'cat-manifest'],
      ['image', 'export', 'a'],
      ['image', 'extract', 'a'],
      ['image', 'render', 'a'],
    ]) {
      it(`of ${args.join(' ')} are too few or too many`, async () => {
        const result = expectStatus(await the.rkt.run(args), FAILURE);
        assert.match(result.stdout, /USAGE:/);
      });
    }
    for (const [args, text] of [
      [['fetch'], 'must provide at least one image'],
      [['image', 'rm'], 'must provide at least one image ID'],
      [['image', 'verify'], 'must provide at least one image ID'],
    ] as const) {
      it(`of ${args.join(' ')} are missing`, () => the.rkt.fails(args, text).then(() => undefined));
    }
  });

  describe('without root', () => {
    before(function () {
      requires(this, 'root');
      chmodSync(the.rkt.data, 0o755);
    });
    for (const args of ROOT_COMMANDS) {
      it(`refuses ${args[0]}`, async () => {
        const result = await the.rkt.fails(args, 'cannot run as unprivileged user', {
          uid: NOBODY,
          gid: NOBODY,
        });
        assert.match(result.stderr, new RegExp(`^${args[0]}: cannot run as unprivileged user$`, 'm'));
      });
    }
    it('still shows versions and help', async () => {
      expectStatus(await bareRkt(['version'], { uid: NOBODY, gid: NOBODY }), 0);
      expectStatus(await bareRkt(['run', '--help'], { uid: NOBODY, gid: NOBODY }), 0);
    });
  });

  describe('environment', () => {
    it('needs no node and no PATH', async function () {
      if (RKT_BIN.endsWith('.ts')) this.skip();
      expectStatus(await bareRkt(['version'], { env: { PATH: '/nonexistent' } }), 0);
      expectStatus(await execute(RKT_BIN, ['version'], { env: {} }), 0);
    });
    it('does not listen to variables nobody promised', async () => {
      const env = {
        RKT_DIR: '/nonexistent',
        RKT_DEBUG: 'true',
        NODE_OPTIONS: '--require=/nonexistent.js',
        NODE_PATH: '/nonexistent',
        NODE_EXTRA_CA_CERTS: '/nonexistent',
        DEBUG: '*',
      };
      const { stdout, stderr } = await the.rkt.ok(['list', '--no-legend'], { env });
      assert.equal(stdout.trim(), '');
      assert.equal(stderr, '');
    });
    it('works in a directory that is gone', async () => {
      const result = await execute('sh', [
        '-c',
        'mkdir "$1/d" && cd "$1/d" && rmdir "$1/d" && shift && exec "$@"',
        'sh',
        the.rkt.tmp.path,
        RKT_BIN,
        'version',
      ]);
      expectStatus(result, 0);
    });
    it('survives a reader that went away', async () => {
      const result = await execute('bash', [
        '-c',
        'set -o pipefail; "$1" --help | head -n 1',
        'bash',
        RKT_BIN,
      ]);
      assert.match(result.stdout, /^NAME:\n$/);
      assert.equal(result.stderr, '');
    });
    it('keeps escape sequences of others off the terminal', async () => {
      const { output } = await the.rkt.run(['status', '\x1b[31mred\x07']);
      assert.ok(!output.includes('\x1b') && !output.includes('\x07'), JSON.stringify(output));
    });
  });
});
