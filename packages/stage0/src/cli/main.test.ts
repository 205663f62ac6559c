// The program as its callers see it: streams, exit statuses, prefixes (contract stage0 1.1-1.6, 1.9, 1.10).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../bin/rkt.ts', import.meta.url));

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function rkt(line: string | readonly string[], env: Record<string, string> = {}, uid?: number): Result {
  const args = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
  const node = ['--conditions=@rkt/source', '--disable-warning=ExperimentalWarning', BIN, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, node, {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', ...env },
    ...(uid === undefined ? {} : { uid }),
  });
  return { status, stdout, stderr };
}

describe('rkt', function () {
  this.timeout(60_000);

  it('version prints five lines', () => {
    const { status, stdout, stderr } = rkt('version');
    assert.equal(status, 0);
    assert.equal(stderr, '');
    assert.match(
      stdout,
      /^rkt Version: \S+\nappc Version: 0\.8\.11\nGo Version: .+\nGo OS\/Arch: linux\/\w+\nFeatures: .+\n$/,
    );
  });
  it('takes unique prefixes, and ignores words of version', () => {
    assert.equal(rkt('ver x y').status, 0);
  });
  it('without a command complains, helps, and ends with 2', () => {
    const { status, stdout, stderr } = rkt('');
    assert.equal(status, 2);
    assert.equal(stderr, 'rkt: missing command\n');
    assert.match(stdout, /^NAME:\n {2}rkt - /);
    assert.match(stdout, /\nVERSION:\n/);
    assert.match(stdout, /\n {2}rkt image cat-manifest +Print/);
  });
  it('image alone helps', () => {
    const { status, stdout, stderr } = rkt('image');
    assert.equal(status, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^NAME:\n {2}image - /);
    assert.match(stdout, /\nCOMMANDS:\n {2}rkt image cat-manifest +Print/);
    assert.doesNotMatch(stdout, /rkt image fetch/);
  });
  it('help X and X --help and -h are the same', () => {
    const help = rkt('help image list');
    assert.equal(help.status, 0);
    assert.match(help.stdout, /USAGE:\n {2}rkt image list\n/);
    assert.equal(rkt('image list --help').stdout, help.stdout);
    assert.equal(rkt('--help im li').stdout, help.stdout);
    assert.equal(rkt('image -h list x y').stdout, help.stdout);
  });
  it('keeps hidden and deprecated flags out of help', () => {
    const { stdout } = rkt('help run');
    assert.match(stdout, /--caps-retain=LIST/);
    assert.match(stdout, /--net\[=default\]/);
    assert.match(stdout, /--local-config="\/etc\/rkt"/);
    assert.doesNotMatch(stdout, /--cap-retain|--store-only|--no-store/);
  });
  for (const [line, stderr] of [
    ['nope', 'Error: unknown command "nope" for "rkt"\nRun \'rkt --help\' for usage.\n'],
    ['image nope', 'Error: unknown command "nope" for "rkt image"\nRun \'rkt image --help\' for usage.\n'],
    ['help nope', 'Error: unknown command "nope" for "rkt"\nRun \'rkt --help\' for usage.\n'],
    [
      'st',
      'Error: unknown command "st" for "rkt"\n\nDid you mean this?\n\tstatus\n\tstop\n\nRun \'rkt --help\' for usage.\n',
    ],
    [
      'lisst',
      'Error: unknown command "lisst" for "rkt"\n\nDid you mean this?\n\tlist\n\nRun \'rkt --help\' for usage.\n',
    ],
  ] as const) {
    it(`does not know ${line}`, () => assert.deepEqual(rkt(line), { status: 254, stdout: '', stderr }));
  }
  it('answers a bad flag with an error and the usage', () => {
    const { status, stdout, stderr } = rkt('list --nolegend');
    assert.equal(status, 254);
    assert.equal(stderr, 'Error: unknown flag: --nolegend\nDid you mean --no-legend?\n');
    assert.match(stdout, /^USAGE:\n\trkt list\n[^]*\n\n$/);
    assert.match(rkt('--version').stderr, /^Error: unknown flag: --version\nDid you mean 'rkt version'\?\n$/);
    assert.equal(rkt('--debug=maybe').status, 254);
  });
  it('answers a wrong number of words with the usage', () => {
    const { status, stdout, stderr } = rkt('image extract x');
    assert.equal(status, 254);
    assert.equal(stderr, '');
    assert.match(stdout, /^USAGE:\n\trkt image extract IMAGE OUTPUT_DIR\n/);
  });
  it('refuses users other than root before it counts words', function () {
    if (process.getuid?.() !== 0) this.skip();
    assert.deepEqual(rkt('run-prepared', {}, 65_534), {
      status: 254,
      stdout: '',
      stderr: 'run-prepared: cannot run as unprivileged user\n',
    });
    assert.equal(rkt('run --nope', {}, 65_534).stderr, 'Error: unknown flag: --nope\n');
    assert.equal(rkt('run --help', {}, 65_534).status, 0);
  });
  it('speaks as the leaf command, about images in their context', function () {
    if (process.getuid?.() !== 0) this.skip();
    assert.equal(
      rkt('run -- x').stderr,
      'run: error parsing app image arguments: an image is required before any app arguments\n',
    );
    assert.equal(
      rkt('--debug run -- x').stderr,
      'run: error parsing app image arguments\n  └─an image is required before any app arguments\n',
    );
    assert.equal(rkt('image list --format=x').stderr, 'list: Invalid format option: x\n');
  });
  it('writes profiles, and says which file it cannot write', () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'rkt-profile-'));
    try {
      const [cpu, memory] = [path.join(directory, 'cpu'), path.join(directory, 'memory')];
      assert.equal(rkt(['version', '--cpuprofile', cpu, `--memprofile=${memory}`]).status, 0);
      for (const file of [cpu, memory]) assert.equal(typeof JSON.parse(readFileSync(file, 'utf8')), 'object');
      const { status, stderr } = rkt(['version', `--cpuprofile=${directory}/none/x`]);
      assert.equal(status, 254);
      assert.match(stderr, /^version: .*none\/x/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  it('completion wants a shell it knows', () => {
    for (const shell of ['bash', 'fish', 'zsh']) assert.equal(rkt(`completion ${shell}`).status, 0);
    for (const line of ['completion', 'completion csh', 'completion bash bash']) {
      const { status, stdout, stderr } = rkt(line);
      assert.deepEqual([status, stdout], [254, '']);
      assert.match(stderr, /^completion: .*bash, fish or zsh\n$/);
    }
  });

  describe('config', () => {
    let root = '';
    before(() => {
      root = mkdtempSync(path.join(os.tmpdir(), 'rkt-main-'));
      const put = (file: string, value: object): void => {
        mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
        writeFileSync(path.join(root, file), JSON.stringify({ rktVersion: 'v1', ...value }));
      };
      put('s/auth.d/a.json', {
        rktKind: 'auth',
        domains: ['a', 'b'],
        type: 'oauth',
        credentials: { token: '<t>' },
      });
      put('s/auth.d/d.json', {
        rktKind: 'dockerAuth',
        registries: ['r'],
        credentials: { user: 'u', password: 'p' },
      });
      put('l/paths.d/p.json', { rktKind: 'paths', data: '/d' });
      put('bad/stage1.d/p.json', { rktKind: 'stage1', location: 'x/y' });
    });
    after(() => rmSync(root, { recursive: true }));
    const directories = (local: string): string[] => [
      `--system-config=${root}/s`,
      `--local-config=${root}/${local}`,
    ];

    it('prints one document', () => {
      const { status, stdout, stderr } = rkt([...directories('l'), '--pretty-print=false', 'config']);
      assert.equal(status, 0);
      assert.equal(stderr, '');
      assert.equal(
        stdout,
        '{"stage0":[' +
          '{"rktVersion":"v1","rktKind":"auth","domains":["a"],"type":"oauth","credentials":{"token":"\\u003ct\\u003e"}},' +
          '{"rktVersion":"v1","rktKind":"auth","domains":["b"],"type":"oauth","credentials":{"token":"\\u003ct\\u003e"}},' +
          '{"rktVersion":"v1","rktKind":"dockerAuth","registries":["r"],"credentials":{"user":"u","password":"p"}},' +
          '{"rktVersion":"v1","rktKind":"paths","data":"/d","stage1-images":""},' +
          '{"rktVersion":"v1","rktKind":"stage1","name":"","version":"","location":""}]}\n',
      );
      assert.match(
        rkt(['config', ...directories('l')]).stdout,
        /^\{\n\t"stage0": \[\n\t\t\{\n\t\t\t"rktVersion": "v1",\n/,
      );
    });
    it('names the file that is wrong', () => {
      const { status, stdout, stderr } = rkt(['config', ...directories('bad')]);
      assert.deepEqual([status, stdout], [254, '']);
      assert.match(
        stderr,
        /^config: cannot get configuration: failed to parse ".*p\.json": invalid stage1 configuration: default stage1 image location is either a relative path or a URL without scheme/,
      );
    });
  });
});
