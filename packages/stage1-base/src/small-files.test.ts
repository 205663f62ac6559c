import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { podDir } from '@rkt/pod-layout/pod-paths';

import { parseRunArguments } from './arguments.ts';
import { lockDescriptor } from './lock-fd.ts';
import { childrenOf, parentOf, readPgid, readPid, readPpid, writePgid, writePid, writePpid } from './pids.ts';
import { TestPod } from './testing/test-pod.ts';
import { writeNew } from './write-new.ts';
import { writeRuntimeConfig } from './write-runtime-config.ts';

describe('small files of a pod', () => {
  it('hold pids', () => {
    using pod = new TestPod();
    const dir = podDir(pod.dir);
    assert.equal(readPid(dir), undefined);
    writePid(dir, 12);
    writePpid(dir, 13);
    writePgid(dir, 14);
    writePid(dir, 15);
    assert.deepEqual([readPid(dir), readPpid(dir), readPgid(dir)], [15, 13, 14]);
    assert.equal(readFileSync(join(dir, 'pid'), 'utf8'), '15\n');
    assert.equal(statSync(join(dir, 'pid')).mode & 0o7777, 0o644);
    writeFileSync(join(dir, 'ppid'), 'x');
    assert.throws(() => readPpid(dir), { code: 'bad-file' });
  });

  it('are never written through a symlink', () => {
    using pod = new TestPod({ files: { victim: { text: 'precious' } } });
    const file = join(pod.dir, 'new');
    symlinkSync(join(pod.rootfs, 'victim'), file);
    writeNew(file, 'text', 0o600);
    assert.equal(readFileSync(join(pod.rootfs, 'victim'), 'utf8'), 'precious');
    assert.equal(readFileSync(file, 'utf8'), 'text');
    assert.equal(statSync(file).mode & 0o7777, 0o600);
  });

  it('keep the metadata token from others', () => {
    using pod = new TestPod();
    const args = parseRunArguments([
      '--mds-token=secret',
      '--net=host',
      '0fceae1c-1234-4abc-8def-0123456789ab',
    ]);
    writeRuntimeConfig(podDir(pod.dir), args);
    const file = join(pod.dir, 'runtime-config');
    assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { MDSToken: string }).MDSToken, 'secret');
    assert.equal(statSync(file).mode & 0o077, 0);
  });
});

describe('lock descriptor', () => {
  it('is the number in RKT_LOCK_FD', () => {
    assert.equal(lockDescriptor({ RKT_LOCK_FD: '9' }), 9);
    assert.throws(() => lockDescriptor({}), { message: 'RKT_LOCK_FD env var is not set' });
    for (const value of ['', '1', '-1', 'x', '3x'])
      assert.throws(() => lockDescriptor({ RKT_LOCK_FD: value }));
  });
});

describe('processes', () => {
  it('have parents and children', async () => {
    const child = spawn('sleep', ['60']);
    try {
      await once(child, 'spawn');
      const pid = child.pid ?? 0;
      assert.ok(childrenOf(process.pid).includes(pid));
      assert.equal(parentOf(pid), process.pid);
    } finally {
      child.kill('SIGKILL');
    }
    assert.deepEqual(childrenOf(4_194_304), []);
    assert.equal(parentOf(4_194_304), undefined);
  });
});
