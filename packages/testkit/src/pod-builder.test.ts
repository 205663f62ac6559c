// Pods look as the contract draws them, and locks are held.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';

import { buildPod, lockPod } from './pod-builder.ts';
import { TempDir } from './tmp.ts';

describe('buildPod', () => {
  const tmp = new TempDir('testkit');
  after(() => tmp.remove());

  it('makes an exited overlay pod', () => {
    const pod = buildPod(tmp.path, {
      directory: 'run',
      apps: [{ name: 'a', exitStatus: 3 }, { name: 'b' }],
      createdAt: new Date(1_000_000),
      startedAt: new Date(2_000_000),
      stage1TreeId: 'deps-sha512-x',
      ready: true,
    });
    const path = (name: string): string => `${tmp.path}/pods/run/${pod.uuid}/${name}`;
    assert.equal(readFileSync(path('overlay/deps-sha512-x/upper/rkt/status/a'), 'utf8'), '3\n');
    assert.equal(readlinkSync(path('overlay/deps-sha512-x/upper/rkt/supervisor-status')), 'ready');
    assert.equal(existsSync(path('overlay/deps-sha512-x/upper/rkt/status/b')), false);
    assert.equal(statSync(path('pod-created')).mtimeMs, 1_000_000);
    assert.equal(statSync(path('ppid')).mtimeMs, 2_000_000);
    assert.equal((JSON.parse(readFileSync(path('pod'), 'utf8')) as { apps: unknown[] }).apps.length, 2);
    pod.remove();
    assert.equal(existsSync(path('')), false);
  });

  it('holds a lock until it is released', async () => {
    const pod = buildPod(tmp.path, { directory: 'prepare', manifest: null });
    const isFree = (): boolean =>
      spawnSync('flock', ['--nonblock', '--shared', pod.dir, 'true']).status === 0;
    assert.equal(isFree(), true);
    const lock = await lockPod(pod.dir);
    assert.equal(isFree(), false);
    await lock.release();
    assert.equal(isFree(), true);
  });
});
