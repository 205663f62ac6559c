// The images programs run in: the inspecting program speaks as the contract says, the stub has its entry points.

import assert from 'node:assert/strict';
import type { SpawnSyncReturns } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';

import { writeAci } from './aci-builder.ts';
import { hasBusybox } from './busybox.ts';
import { minimalImage } from './debian-image.ts';
import { inspectFiles, inspectManifest } from './inspect.ts';
import { STUB_MESSAGE, stubStage1 } from './stub-stage1.ts';
import { TempDir } from './tmp.ts';

function unpack(tmp: TempDir, name: string, description: Parameters<typeof writeAci>[1]): string {
  const { path } = writeAci(tmp.join(`${name}.aci`), description);
  mkdirSync(tmp.join(name));
  assert.equal(spawnSync('tar', ['--extract', '--directory', tmp.join(name), '--file', path]).status, 0);
  return tmp.join(name);
}

describe('inspect image', () => {
  const tmp = new TempDir('testkit');
  let root = '';
  before(function () {
    if (!hasBusybox() || process.getuid?.() !== 0) this.skip();
    root = `${unpack(tmp, 'inspect', { manifest: inspectManifest(), files: inspectFiles() })}/rootfs`;
    mkdirSync(`${root}/proc`);
  });
  after(() => tmp.remove());

  const inspect = (
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    input = '',
  ): SpawnSyncReturns<string> => {
    const script = 'mount --rbind /proc "$1/proc" && shift && exec chroot "$@"';
    const wrapped = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      'sh',
      root,
      root,
      '/inspect',
      ...args,
    ];
    return spawnSync('unshare', wrapped, {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...env },
      input,
    });
  };

  it('prints what it sees', () => {
    const { stdout, status, stderr } = inspect(
      [
        '--print-env=X',
        '--print-exec',
        '--print-cwd',
        '--print-user',
        '--print-no-new-privs',
        '--check-tty',
        '--exit-code=5',
      ],
      { X: 'a=b c' },
    );
    assert.equal(stderr, '');
    assert.equal(status, 5);
    assert.deepEqual(stdout.split('\n').slice(0, 6), [
      'X=a=b c',
      'inspect exceed as: /inspect',
      'cwd: /',
      'User: uid=0 euid=0 gid=0 egid=0',
      'no_new_privs: 0 err: errno 0',
      'stdin is not a terminal',
    ]);
  });
  it('reads, writes and describes files', () => {
    const { stdout } = inspect([
      '--file-name=/tmp/x',
      '--content=a b',
      '--write-file',
      '--read-file',
      '--stat-file',
    ]);
    assert.equal(stdout, '<<<a b>>>\n/tmp/x: mode: -rw-r--r--\n/tmp/x: user: 0\n/tmp/x: group: 0\n');
    assert.equal(inspect(['--read-file'], { FILE: '/dir1/file' }).stdout, '<<<dir1>>>\n');
    assert.match(inspect(['--stat-file', '--file-name=/tmp']).stdout, /^\/tmp: mode: dtrwxrwxrwx\n/);
    const missing = inspect(['--stat-file', '--file-name=/no']);
    assert.equal(missing.stderr, 'Cannot stat file "/no": stat /no: no such file or directory\n');
    assert.equal(missing.status, 254);
  });
  it('names capabilities', () => {
    const { stdout } = inspect(['--suffix-msg=S', '--print-caps-pid=0'], { CAPABILITY: '0' });
    assert.match(stdout, /^Capability set: effective: chown, .* \(S\)\nCapability set: permitted: /);
    assert.match(stdout, /\nchown=enabled \(S\)\n/);
  });
  it('reads its input', () => {
    assert.equal(inspect(['--read-stdin'], {}, 'hello\n').stdout, 'Enter text:\nReceived text: hello\n');
  });
  it('refuses what it does not know', () => {
    assert.equal(inspect(['--what']).status, 254);
  });
});

describe('minimal image', () => {
  const tmp = new TempDir('testkit');
  after(() => tmp.remove());
  it('runs a shell', function () {
    if (!hasBusybox() || process.getuid?.() !== 0) this.skip();
    const root = `${unpack(tmp, 'minimal', minimalImage())}/rootfs`;
    assert.equal(
      spawnSync('chroot', [root, '/bin/sh', '-c', 'echo hi'], { encoding: 'utf8' }).stdout,
      'hi\n',
    );
  });
});

describe('stub stage1', () => {
  const tmp = new TempDir('testkit');
  after(() => tmp.remove());
  it('says its line on the host', () => {
    const root = unpack(tmp, 'stub', stubStage1());
    const manifest = JSON.parse(readFileSync(`${root}/manifest`, 'utf8')) as { annotations: unknown[] };
    assert.equal(manifest.annotations.length, 3);
    assert.ok(existsSync(`${root}/rootfs/rkt/status`));
    const { stdout, status } = spawnSync(`${root}/rootfs/run`, [], {
      encoding: 'utf8',
      cwd: root,
      env: { ...process.env, RKT_LOCK_FD: '2' },
    });
    assert.equal(stdout, `${STUB_MESSAGE}\n`);
    assert.equal(status, 0);
    assert.match(readFileSync(`${root}/ppid`, 'utf8'), /^\d+\n$/);
  });
});
