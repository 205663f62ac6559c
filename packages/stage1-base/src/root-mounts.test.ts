import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  CLONE_NEWNS,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_NODEV,
  MS_NOSUID,
  MS_REC,
  MS_SLAVE,
} from '@rkt/linux/constants';
import { recordingKernel } from '@rkt/linux/testing/recording-kernel';

import { enterOwnMountNamespace, mountAll, type RootMount } from './root-mounts.ts';

const PLAIN = { readOnly: false, defaultHosts: false };

describe('mounts in the root of an app', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'rkt-mounts-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const bind = (target: string, more: Partial<Extract<RootMount, { kind: 'bind' }>> = {}): RootMount => ({
    kind: 'bind',
    source: tmpdir(),
    target,
    recursive: false,
    readOnly: false,
    ...more,
  });

  it('leaves the namespace of the host first, and takes its later mounts along', () => {
    const kernel = recordingKernel();
    enterOwnMountNamespace(kernel);
    assert.deepEqual(
      kernel.calls.map(({ name, arguments: words }) => [name, ...words]),
      [
        ['unshare', CLONE_NEWNS],
        ['mount', null, '/', null, MS_REC | MS_SLAVE, null],
      ],
    );
  });

  it('mounts by descriptor, with the flags asked for', () => {
    const kernel = recordingKernel();
    mountAll(
      kernel,
      root,
      [
        { kind: 'tmpfs', target: '/tmp' },
        bind('/a', { recursive: true }),
        bind('/b', { readOnly: true }),
        bind('/c', { recursive: true, readOnly: true }),
      ],
      PLAIN,
    );
    const fd = /^\/proc\/self\/fd\/\d+$/;
    const mounts = kernel.calls.filter(({ name }) => name === 'mount').map((call) => call.arguments);
    for (const [source, target] of mounts) {
      assert.match(String(target), fd);
      if (source !== 'tmpfs') assert.match(String(source), fd);
    }
    assert.deepEqual(
      mounts.map((words) => words.slice(2)),
      [
        ['tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777'],
        [null, MS_BIND | MS_REC, null],
        [null, MS_BIND, null],
        [null, MS_BIND | MS_REC, null],
      ],
    );
    const attributes = kernel.calls
      .filter(({ name }) => name === 'mountSetattr')
      .map((call) => call.arguments.slice(1));
    assert.deepEqual(attributes, [
      ['', AT_EMPTY_PATH, { set: MOUNT_ATTR_RDONLY }],
      ['', AT_EMPTY_PATH | AT_RECURSIVE, { set: MOUNT_ATTR_RDONLY }],
    ]);
  });

  it('falls back to remounting by name on kernels that lack mount_setattr', () => {
    const kernel = recordingKernel();
    kernel.failNext('mountSetattr', 'ENOSYS');
    mountAll(kernel, root, [bind('/a', { readOnly: true })], PLAIN);
    const [first, second] = kernel.calls
      .filter(({ name }) => name === 'mountSetattr')
      .map((call) => call.arguments);
    assert.equal(first?.[1], '');
    assert.equal(second?.[1], join(root, 'a'));
  });

  it('makes the root read-only after everything that is made in it', () => {
    const kernel = recordingKernel();
    mountAll(kernel, root, [bind('/a/b')], { readOnly: true, defaultHosts: false });
    assert.deepEqual(kernel.callNames(), ['mount', 'mount', 'mountSetattr']);
    assert.deepEqual(kernel.calls[0]?.arguments, [root, root, null, MS_BIND, null]);
    assert.equal(kernel.calls[2]?.arguments[2], AT_EMPTY_PATH);
    assert.ok(statSync(join(root, 'a/b')).isDirectory());
  });

  it('creates targets inside the root, through links as a process in it would see them', () => {
    symlinkSync('/../../../inside', join(root, 'link'));
    const file = join(root, 'source');
    writeFileSync(file, '');
    mountAll(recordingKernel(), root, [bind('/link/dir'), bind('/link/sub/file', { source: file })], PLAIN);
    assert.equal(statSync(join(root, 'inside/dir')).mode & 0o777, 0o755 & ~process.umask());
    assert.ok(statSync(join(root, 'inside/sub/file')).isFile());
    assert.equal(existsSync('/inside'), false);
  });

  it('gives an app the usual hosts only when it has none and a place for them', () => {
    const hosts = join(root, 'etc/hosts');
    const make = (): void => mountAll(recordingKernel(), root, [], { readOnly: false, defaultHosts: true });
    make();
    assert.equal(existsSync(hosts), false);
    mkdirSync(join(root, 'etc'));
    make();
    assert.equal(readFileSync(hosts, 'utf8'), '127.0.0.1 localhost localdomain\n');
    writeFileSync(hosts, 'mine');
    make();
    assert.equal(readFileSync(hosts, 'utf8'), 'mine');
  });
});
