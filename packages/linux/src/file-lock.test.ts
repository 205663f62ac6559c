// Locks between two descriptors and between two processes, one of which is killed.

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  adoptLock,
  isLockedExclusively,
  lockDirectory,
  lockFile,
  tryLockExclusive,
  tryLockShared,
} from './file-lock.ts';
import { startFixture } from './testing/run-fixture.ts';

describe('file lock', () => {
  let directory = '';
  let holder: ChildProcess | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rkt-lock-'));
  });
  afterEach(() => {
    holder?.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  it('excludes and shares as asked', () => {
    using first = tryLockShared(directory);
    using second = tryLockShared(directory);
    assert.ok(first?.held && second?.held);
    assert.equal(tryLockExclusive(directory), undefined);
    assert.equal(isLockedExclusively(directory), false);
    first.release();
    first.release();
    second.release();
    using alone = lockDirectory(directory, { exclusive: true, wait: true });
    assert.equal(tryLockShared(directory), undefined);
    assert.equal(isLockedExclusively(directory), true);
    assert.equal(alone.path, directory);
  });

  it('leaves at the end of its block', () => {
    {
      using _ = lockDirectory(directory, { exclusive: true, wait: true });
    }
    assert.equal(isLockedExclusively(directory), false);
  });

  it('changes between exclusive and shared', () => {
    const lock = lockDirectory(directory, { exclusive: true, wait: true });
    lock.downgrade();
    const other = tryLockShared(directory);
    assert.ok(other);
    assert.equal(lock.upgrade({ wait: false }), false);
    assert.equal(lock.held, false);
    assert.equal(other.upgrade({ wait: false }), true);
    assert.equal(tryLockShared(directory), undefined);
    other.release();
  });

  it('follows a directory that is renamed', () => {
    const from = join(directory, 'a');
    mkdirSync(from);
    using lock = lockDirectory(from, { exclusive: true, wait: true });
    renameSync(from, join(directory, 'b'));
    assert.equal(isLockedExclusively(join(directory, 'b')), true);
    assert.ok(lock.held);
  });

  it('names what cannot be locked', () => {
    const path = join(directory, 'missing');
    const message = `open ${path}: no such file or directory`;
    assert.throws(() => tryLockShared(path), { name: 'KernelError', code: 'ENOENT', message });
    writeFileSync(join(directory, 'file'), '');
    assert.throws(() => tryLockShared(join(directory, 'file')), { code: 'ENOTDIR' });
    assert.throws(() => lockFile(path, { exclusive: true, wait: true }), { code: 'ENOENT' });
  });

  it('makes lock files with the given mode', () => {
    const path = join(directory, 'key');
    using lock = lockFile(path, { exclusive: true, wait: true, create: true });
    assert.ok(lock.held);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(lockFile(path, { exclusive: false, wait: false }), undefined);
  });

  it('takes over an inherited descriptor', () => {
    const lock = lockDirectory(directory, { exclusive: true, wait: true });
    const adopted = adoptLock(lock.fd, directory);
    adopted.release();
    assert.equal(isLockedExclusively(directory), false);
    assert.throws(() => adoptLock(9999, directory), { code: 'EBADF' });
  });

  const startHolder = async (): Promise<ChildProcess> => {
    holder = startFixture(import.meta.url, './testing/lock-holder.test.fixture.ts', { cwd: directory });
    await once(holder.stdout as NonNullable<ChildProcess['stdout']>, 'data');
    return holder;
  };

  it('is held by another process until that is killed', async () => {
    const child = await startHolder();
    assert.equal(isLockedExclusively(directory), true);
    assert.equal(lockFile(join(directory, 'key'), { exclusive: true, wait: false }), undefined);
    child.kill('SIGKILL');
    await once(child, 'exit');
    using lock = tryLockExclusive(directory);
    assert.ok(lock);
  });

  it('waits for a file lock, and sees that the file was replaced meanwhile', async () => {
    const child = await startHolder();
    // The holder replaces the file and exits when it is asked to.
    child.kill('SIGTERM');
    const before = statSync(join(directory, 'key')).ino;
    using lock = lockFile(join(directory, 'key'), { exclusive: true, wait: true, create: true });
    assert.notEqual(statSync(join(directory, 'key')).ino, before);
    assert.ok(lock.held);
    assert.equal(lockFile(join(directory, 'key'), { exclusive: true, wait: false }), undefined);
    unlinkSync(join(directory, 'key'));
  });
});
