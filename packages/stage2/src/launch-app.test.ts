import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { capabilityNumber } from '@rkt/linux/constants';
import { recordingKernel } from '@rkt/linux/testing/recording-kernel';
import { buildSync } from 'esbuild';

import type { AppProcess } from './app-process.ts';
import { launchApp } from './launch-app.ts';
import type { LaunchHost } from './launch-app.ts';

const APP: AppProcess = {
  root: '/root',
  workingDirectory: '/srv',
  executable: '/bin/srv',
  argv: ['srv', 'x'],
  environment: [
    { name: 'A', value: '1' },
    { name: '__proto__', value: '2' },
  ],
  uid: 1000,
  gid: 100,
  supplementaryGids: [],
  noNewPrivileges: true,
  keepOpen: [9],
};

interface Recorded {
  readonly host: LaunchHost;
  readonly events: unknown[][];
}

function recordingHost(): Recorded {
  const events: unknown[][] = [];
  const kernel = recordingKernel();
  const host: LaunchHost = {
    kernel: new Proxy(kernel, {
      get: (target, name: keyof typeof kernel) =>
        typeof target[name] === 'function'
          ? (...args: unknown[]) => {
              events.push([name, ...args]);
              return (target[name] as (...values: unknown[]) => unknown)(...args);
            }
          : target[name],
    }),
    facts: {
      uid: 0,
      gid: 0,
      groups: [0],
      capabilities: () => ({ permitted: 7n, inheritable: 0n, bounding: 7n, last: 2 }),
      capabilityNumber,
    },
    setUmask: (mask) => void events.push(['umask', mask]),
    changeDirectory: (path) => void events.push(['chdir', path]),
    explain: (line) => void events.push(['explain', line]),
    execute: (...args) => {
      events.push(['execve', ...args]);
      throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    },
  };
  return { host, events };
}

describe('launchApp', () => {
  it('makes the calls of the plan, then executes', () => {
    const { host, events } = recordingHost();
    const status = launchApp(
      { ...APP, executable: '/no/such/program', boundingCapabilities: ['CAP_CHOWN'] },
      host,
    );
    const environment = Object.create(null) as Record<string, string>;
    Object.defineProperty(environment, 'A', {
      value: '1',
      enumerable: true,
      writable: true,
      configurable: true,
    });
    environment['__proto__'] = '2';
    assert.deepEqual(events, [
      ['umask', 0o022],
      ['chroot', '/root'],
      ['chdir', '/'],
      ['chdir', '/srv'],
      ['setGroups', [100]],
      ['setResGid', 100, 100, 100],
      ['dropBoundingCapability', 1],
      ['dropBoundingCapability', 2],
      ['clearAmbient'],
      ['setResUid', 1000, 1000, 1000],
      ['capSet', { call: 'capset', effective: 0n, permitted: 0n, inheritable: 0n }],
      ['setNoNewPrivileges'],
      ['execve', '/no/such/program', ['srv', 'x'], environment, [9]],
      ['explain', 'Error: Unable to open "/no/such/program": No such file or directory'],
    ]);
    assert.equal(status, 203);
  });

  it('changes nothing for a description that makes no sense', () => {
    const { host, events } = recordingHost();
    assert.throws(() => launchApp({ ...APP, uid: -1 }, host), { code: 'bad-spec' });
    assert.deepEqual(events, []);
  });

  it('stops at the first step that fails', () => {
    const { host, events } = recordingHost();
    const failing = recordingKernel();
    failing.failNext('setGroups', 'EPERM');
    assert.throws(() => launchApp(APP, { ...host, kernel: failing }), { code: 'EPERM' });
    assert.ok(!events.some(([name]) => name === 'execve'));
    assert.deepEqual(failing.callNames(), ['chroot', 'setGroups']);
  });
});

describe('exec-app as root', () => {
  let dir = '';
  before(function () {
    if (process.getuid?.() !== 0) this.skip();
    dir = mkdtempSync(join(tmpdir(), 'rkt-stage2-'));
    chmodSync(dir, 0o755);
    buildSync({
      entryPoints: [join(import.meta.dirname, 'bin/exec-app.ts')],
      outfile: join(dir, 'exec-app.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
      conditions: ['@rkt/source'],
    });
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const run = (
    change: Partial<AppProcess>,
    shell = '',
  ): { status: number | null; stdout: string; stderr: string } => {
    const file = join(dir, 'process.json');
    const app: AppProcess = { ...APP, root: '/', workingDirectory: '/', keepOpen: [], ...change };
    writeFileSync(file, JSON.stringify(app));
    const program = join(dir, 'exec-app.cjs');
    const node = `exec '${process.execPath}' --disable-warning=ExperimentalWarning`;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', `${shell} ${node} '${program}' '${file}'`], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const script = (text: string): Partial<AppProcess> => ({ executable: '/bin/sh', argv: ['sh', '-c', text] });
  const fields = (text: string): Record<string, string> =>
    Object.fromEntries(text.split('\n').map((line) => line.split(/:\s+/) as [string, string]));

  it('gives a user no capability, whatever the caller holds', () => {
    const found = fields(
      run({ ...script('cat /proc/self/status'), boundingCapabilities: ['CAP_CHOWN', 'CAP_KILL'] }).stdout,
    );
    assert.equal(found['Uid'], '1000\t1000\t1000\t1000');
    assert.equal(found['Gid'], '100\t100\t100\t100');
    assert.equal(found['Groups']?.trim(), '100');
    assert.equal(found['CapBnd'], '0000000000000021');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      assert.equal(found[set], '0000000000000000', set);
    assert.equal(found['NoNewPrivs'], '1');
    assert.equal(found['SigIgn'], '0000000000000000');
    assert.equal(found['SigBlk'], '0000000000000000');
    assert.equal(found['Umask'], '0022');
    assert.equal(found['Threads'], '1');
  });

  it('gives root its bounding set, and a user what is ambient', () => {
    const sets = { boundingCapabilities: ['CAP_CHOWN', 'CAP_KILL'], ambientCapabilities: ['CAP_KILL'] };
    const root = fields(
      run({ ...script('cat /proc/self/status'), uid: 0, boundingCapabilities: ['CAP_CHOWN'] }).stdout,
    );
    for (const set of ['CapBnd', 'CapPrm', 'CapEff']) assert.equal(root[set], '0000000000000001', set);
    const user = fields(run({ ...script('cat /proc/self/status'), ...sets }).stdout);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      assert.equal(user[set], '0000000000000020', set);
  });

  it('has the environment, the arguments and the directory that were asked for, and no other', () => {
    const environment = [
      { name: 'B', value: 'two\nlines' },
      { name: 'A', value: '' },
    ];
    const { stdout } = run({ executable: '/usr/bin/env', argv: ['env'], environment }, 'export SECRET=1;');
    assert.equal(stdout, 'B=two\nlines\nA=\n');
    const words = run({
      ...script('echo "$0 $# $1"; pwd'),
      argv: ['me', '-c', 'echo "$0 $# $1"; pwd', 'zero', 'a b'],
    });
    assert.equal(words.stdout, 'zero 1 a b\n/\n');
    assert.equal(run({ ...script('pwd'), workingDirectory: '/usr' }).stdout, '/usr\n');
  });

  it('closes what it inherited, and keeps what was chosen', () => {
    const list = script('for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done');
    const opened = 'exec 5</dev/null 9</dev/null 77</dev/null;';
    const kept = run({ ...list, keepOpen: [9] }, opened)
      .stdout.trim()
      .split('\n')
      .map(Number);
    assert.deepEqual(
      kept.sort((a, b) => a - b),
      [0, 1, 2, 9],
    );
  });

  it('gives back the limit on open files that node raised', () => {
    assert.equal(
      run(script('ulimit -Sn; ulimit -Hn'), 'ulimit -Sn 64; ulimit -Hn 128; sh -c :;').stdout.split('\n')[1],
      '128',
    );
  });

  it('explains a program that is missing or cannot be executed, with status 203', () => {
    const missing = run({ executable: '/no such' });
    assert.deepEqual(missing, {
      status: 203,
      stdout: '',
      stderr: 'Error: Unable to open "/no such": No such file or directory\n',
    });
    assert.equal(run({ executable: '/etc/passwd' }).stderr, 'Error: "/etc/passwd" is not executable\n');
  });

  it('fails with 254 and one line for a missing directory, root or description', () => {
    const directory = run({ workingDirectory: '/no/such' });
    assert.equal(directory.status, 254);
    assert.match(directory.stderr, /^stage2: .*\/no\/such.*\n$/);
    const root = run({ root: '/no/such' });
    assert.equal(root.status, 254);
    assert.match(root.stderr, /^stage2: .*\/no\/such.*\n$/);
  });
});
