import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { describeFly, FlyPod, shell } from './testing/fly-pod.test.ts';
import type { PodParts } from './testing/fly-pod.test.ts';

describeFly('fly as root while it runs', () => {
  async function withRunning(
    script: string,
    parts: PodParts,
    use: (pod: FlyPod, pid: number, child: ChildProcess) => Promise<void> | void,
  ): Promise<void> {
    using pod = new FlyPod(shell(`${script}; echo ready; exec sleep 60`), parts);
    const child = pod.start();
    try {
      if (child.stdout !== null) await once(child.stdout, 'data');
      await use(pod, child.pid ?? 0, child);
    } finally {
      child.kill('SIGKILL');
    }
  }

  it('can be entered: same user, environment, root, mounts, cgroups and no more descriptors', async () => {
    const app = { user: '1000', group: '100', environment: [{ name: 'A', value: 'two\nlines' }] };
    await withRunning(':', { app }, (pod, pid) => {
      const script =
        'id; echo "$A $TERM"; readlink /proc/self/ns/mnt; cat /proc/self/cgroup; ls -A /tmp; ls /proc/self/fd | wc -l';
      const { stdout, status, stderr } = pod.call(
        'enter',
        [`--pid=${pid}`, '--appname=app', '--', 'sh', '-c', script],
        { TERM: 'vt220' },
      );
      assert.equal(status, 0, stderr);
      const lines = stdout.trim().split('\n');
      assert.equal(lines[0], 'uid=1000 gid=100 groups=100');
      assert.deepEqual(lines.slice(1, 3), ['two', 'lines vt220']);
      assert.equal(
        lines[3],
        spawnSync('readlink', [`/proc/${pid}/ns/mnt`], { encoding: 'utf8' }).stdout.trim(),
      );
      assert.equal(lines.slice(4, -1).join('\n'), readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim());
      // 0, 1, 2 and the directory that is being listed.
      assert.equal(lines.at(-1), '4');
    });
  });

  it('passes on how the entered command ended, and explains one that does not start', async () => {
    await withRunning(':', {}, (pod, pid) => {
      const enter = (...command: string[]): SpawnSyncReturns<string> =>
        pod.call('enter', [`--pid=${pid}`, '--', ...command]);
      assert.equal(enter('/bin/sh', '-c', 'exit 9').status, 9);
      assert.equal(enter('/no/such').stderr, 'Error: Unable to open "/no/such": No such file or directory\n');
      assert.equal(enter('/no/such').status, 203);
      const missing = enter('nope');
      assert.equal(missing.status, 254);
      assert.match(missing.stderr, /^fly-enter: unable to find "nope" in ".*"\n$/);
      const gone = pod.call('enter', ['--pid=4194304', '--', 'sh']);
      assert.equal(gone.stderr, 'fly-enter: process 4194304 of the pod is not running anymore\n');
      const other = pod.call('enter', [`--pid=${pid}`, '--appname=other', '--', 'sh']);
      assert.equal(other.stderr, 'fly-enter: no app "other" in the pod\n');
    });
  });

  it('stops on request', async () => {
    await withRunning(':', {}, async (pod, _, child) => {
      const ended = once(child, 'exit');
      assert.equal(pod.call('stop', [pod.uuid]).status, 0);
      assert.deepEqual(await ended, [null, 'SIGTERM']);
    });
  });

  it('stops altogether by force', async () => {
    await withRunning('sleep 61 & trap "" TERM', {}, async (pod, _, child) => {
      const ended = once(child, 'exit');
      assert.equal(pod.call('stop', ['--force', pod.uuid]).status, 0);
      assert.deepEqual(await ended, [null, 'SIGKILL']);
      const [group = ''] = readFileSync(join(pod.dir, 'subcgroup'), 'utf8').split('\n');
      const procs = join('/sys/fs/cgroup/pids', group, 'cgroup.procs');
      if (existsSync(procs)) assert.equal(readFileSync(procs, 'utf8'), '');
    });
  });

  it('never signals a process that is not its own', async () => {
    const stranger = spawn('sleep', ['60']);
    try {
      await once(stranger, 'spawn');
      await withRunning(':', {}, (pod) => {
        pod.write('pid', `${stranger.pid}\n`);
        pod.call('stop', ['--force', pod.uuid]);
      });
      assert.equal(stranger.exitCode, null);
      assert.equal(stranger.signalCode, null);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('leaves nothing behind after gc, though children outlive the app', async () => {
    using pod = new FlyPod(shell('sleep 62 >/dev/null 2>&1 & echo $!'));
    const child = pod.start();
    assert.ok(child.stdout !== null);
    const [text] = (await once(child.stdout, 'data')) as [Buffer];
    const orphan = `/proc/${text.toString().trim()}`;
    assert.ok(existsSync(orphan));
    assert.equal(pod.call('gc', [pod.uuid]).status, 0);
    assert.equal(
      existsSync(orphan) && readFileSync(`${orphan}/status`, 'utf8').includes('(sleeping)'),
      false,
    );
    assert.deepEqual(pod.cgroups(), []);
    assert.ok(lstatSync(pod.rootfs).isDirectory());
    assert.ok(statSync('/dev/null').isCharacterDevice());
  });
});
