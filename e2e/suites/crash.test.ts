// Killed programs, full disks, read-only directories: the next command works and nothing stays (design: hostile
// inputs 52, 53; contract stage0 11.14).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { imageManifest } from '@rkt/testkit/manifests';

import { cgroupsOf, list, mountPoints, processesBelow, text } from '../lib/cleanup.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, shellImage, stubFlag, tinyImage, writeImage } from '../lib/images.ts';
import type { Running } from '../lib/process.ts';
import { eventually, sleep } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('crashes', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  /** What must hold after any crash: the next commands work and leave nothing. */
  const recover = async (rkt: Rkt): Promise<void> => {
    await rkt.ok(['list']);
    await rkt.ok(['image', 'list']);
    await rkt.ok(['gc', '--grace-period=0s', '--expire-prepared=0s']);
    for (const state of ['embryo', 'prepare', 'prepared', 'run', 'exited-garbage', 'garbage'] as const) {
      assert.deepEqual(rkt.podsIn(state), [], state);
    }
    assert.deepEqual(
      mountPoints().filter((each) => each.startsWith(`${rkt.data}/`)),
      [],
    );
  };

  describe('of stage0', () => {
    for (const store of ['cold', 'warm']) {
      it(`at any moment of prepare leave what gc removes, with a ${store} store`, async function () {
        this.timeout(300_000);
        const rkt = new Rkt('crash');
        const flag = stubFlag(rkt);
        const own = tinyImage(rkt, { exec: ['/x'], name: 'example.com/crash' });
        if (store === 'warm') await rkt.prepare([flag, own]);
        const started = performance.now();
        await rkt.prepare([flag, own]);
        const whole = performance.now() - started;
        for (let step = 0; step <= 20; step += 1) {
          if (store === 'cold') rmSync(`${rkt.data}/cas`, { recursive: true, force: true });
          const running = rkt.start([INSECURE, 'prepare', flag, own]);
          await sleep((whole * step) / 20);
          running.kill('SIGKILL');
          await running.ended;
        }
        await recover(rkt);
        await rkt.prepare([flag, own]);
        const { stdout } = await rkt.ok(['image', 'verify', 'example.com/crash']);
        assert.match(stdout, /^successfully verified|not rendered/);
        await recover(rkt);
        rkt.tmp.remove();
      });
    }
    for (const [how, flags, needs] of [
      ['', [], []],
      // The stage1 of scripts makes no user namespace; the mounts are those of one that does.
      [' with users of its own', ['--private-users'], ['userns']],
    ] as const) {
      it(`at any moment of run${how} leave no mounts behind gc`, async function () {
        requires(this, ...needs);
        this.timeout(300_000);
        const rkt = new Rkt('crash');
        const flag = stubFlag(rkt, { run: 'exec sleep 0.05' });
        const own = tinyImage(rkt, { exec: ['/x'] });
        await rkt.ok([INSECURE, 'run', '--net=none', ...flags, flag, own]);
        const started = performance.now();
        await rkt.ok([INSECURE, 'run', '--net=none', ...flags, flag, own]);
        const whole = performance.now() - started;
        for (let step = 0; step <= 20; step += 1) {
          const running = rkt.start([INSECURE, 'run', '--net=none', ...flags, flag, own]);
          await sleep((whole * step) / 20);
          running.kill('SIGKILL');
          await running.ended;
        }
        await recover(rkt);
        rkt.tmp.remove();
      });
    }
    it('during gc leave what the next gc removes', async function () {
      this.timeout(300_000);
      const rkt = new Rkt('crash');
      const flag = stubFlag(rkt);
      const own = tinyImage(rkt, { exec: ['/x'] });
      for (let step = 0; step < 10; step += 1) {
        await rkt.ok([INSECURE, 'run', '--net=none', flag, own]);
        const running = rkt.start(['gc', '--grace-period=0s']);
        await sleep(step * 8);
        running.kill('SIGKILL');
        await running.ended;
      }
      await recover(rkt);
      rkt.tmp.remove();
    });
  });

  forEachFlavour(['isolated'], (flavour) => {
    const start = async (): Promise<{ running: Running; uuid: string }> => {
      const running = the.rkt.start(
        flavour.run(image, '--', '--ignore-sigterm', '--print-msg=up', '--sleep=1000'),
      );
      await running.waitFor(/\bup\r?$/m);
      const [uuid = ''] = the.rkt.podsIn('run');
      return { running, uuid };
    };
    for (const verb of [['rm'], ['gc', '--grace-period=0s'], ['stop', '--force']]) {
      it(`of the supervisor leave nothing behind ${verb[0]}`, async () => {
        const { running, uuid } = await start();
        const below = processesBelow(`${the.rkt.data}/pods`).map(({ pid }) => pid);
        running.kill('SIGKILL');
        await running.ended;
        const args = verb[0] === 'gc' ? verb : [...verb, uuid];
        const result = await the.rkt.run(args);
        if (verb[0] === 'stop') await the.rkt.ok(['rm', uuid]);
        else expectStatus(result, 0);
        await eventually(
          'all processes of the pod are gone',
          () => below.every((pid) => !existsSync(`/proc/${pid}/root`) || !isAlive(pid, uuid)),
          5000,
        );
        assert.deepEqual(cgroupsOf([uuid]), []);
        assert.deepEqual(the.rkt.podsIn('run'), []);
        assert.deepEqual(
          mountPoints().filter((each) => each.includes(uuid)),
          [],
        );
      });
    }
    it('of PID 1 end the pod', async () => {
      const { running, uuid } = await start();
      const ppid = readFileSync(`${the.rkt.podDir(uuid)}/ppid`, 'utf8').trim();
      const [child = ''] = readFileSync(`/proc/${ppid}/task/${ppid}/children`, 'utf8').trim().split(' ');
      process.kill(Number(child), 'SIGKILL');
      const result = await running.ended;
      assert.notEqual(result.status, 0);
      assert.equal((await the.rkt.status(uuid))['state'], 'exited');
    });
    const journal = (): number[] =>
      cgroupsOf(the.rkt.podsIn('run'))
        .filter((group) => group.endsWith('/systemd-journald.service'))
        .flatMap((group) => text(`${group}/cgroup.procs`).split('\n').filter(Boolean).map(Number));
    it('of the journal are mended: the app goes on, and so does its output', async () => {
      const script = 'i=0; while [ $i -lt 20 ]; do echo line $i; sleep 0.2; i=$((i+1)); done; exit 5';
      const running = the.rkt.start(flavour.run(shellImage(the.rkt, script)));
      await running.waitFor(/line 3/);
      const [pid] = journal();
      assert.ok(pid !== undefined);
      process.kill(pid, 'SIGKILL');
      const result = await running.ended;
      expectStatus(result, 5);
      assert.deepEqual(
        flavour.linesOf(result),
        Array.from({ length: 20 }, (_, line) => `line ${line}`),
      );
    });
    it('of the journal, again and again, end the pod', async () => {
      const { running } = await start();
      while (!running.isOver) {
        for (const pid of journal()) killIfThere(pid);
        await sleep(20);
      }
      const result = expectStatus(await running.ended, 1);
      assert.match(result.output, /the journal of the pod fails again and again, ending the pod/);
    });
    it('of the machine: mounts are gone, gc mounts what it needs', async function () {
      requires(this, 'overlayfs');
      await the.rkt.run(flavour.run(image, '--', '--exit-code=3'));
      const [uuid = ''] = the.rkt.podsIn('run');
      const kernel = openKernel();
      for (const point of mountPoints()
        .filter((each) => each.includes(uuid))
        .toReversed())
        kernel.umount2(point, MNT_DETACH);
      assert.equal((await the.rkt.status(uuid))['app-rkt-inspect'], '3');
      await the.rkt.ok(['export', uuid, the.rkt.tmp.join('after-reboot.aci')]);
      await the.rkt.ok(['rm', uuid]);
    });
  });

  describe('of the disk', () => {
    const mountTmpfs = (path: string, options: string): void => {
      openKernel().mount('none', path, 'tmpfs', 0, options);
    };
    const unmount = (path: string): void => openKernel().umount2(path, MNT_DETACH);

    it('that is full are told in one line and undone', async () => {
      const rkt = new Rkt('full');
      const big = writeImage(rkt, {
        manifest: imageManifest({ name: 'example.com/big' }),
        files: [{ path: 'big', content: Buffer.alloc(3 << 20, 'x') }],
      });
      mountTmpfs(rkt.data, 'size=4m,mode=755');
      try {
        const result = await rkt.fails([INSECURE, 'fetch', big], 'no space left on device');
        assert.equal(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
        assert.deepEqual(list(`${rkt.data}/cas/tmp`), []);
        const small = tinyImage(rkt, { name: 'example.com/small' });
        await rkt.fetch(small);
      } finally {
        unmount(rkt.data);
        rkt.tmp.remove();
      }
    });
    it('that is full during prepare leave an aborted prepare', async () => {
      const rkt = new Rkt('full');
      const flag = stubFlag(rkt);
      const own = writeImage(rkt, {
        manifest: imageManifest({ name: 'example.com/big', exec: ['/x'] }),
        files: [{ path: 'big', content: Buffer.alloc(2 << 20, 'x') }],
      });
      mountTmpfs(rkt.data, 'size=7m,mode=755');
      try {
        // One copy in the store, one as a tree; without overlay the third does not fit.
        const result = await rkt.fails(
          [INSECURE, 'prepare', '--no-overlay', flag, own, own, '--name=second'],
          'no space left on device',
        );
        assert.match(result.stderr, /^prepare: .*no space left on device$/m);
        assert.equal(rkt.podsIn('prepared').length, 0);
        await recover(rkt);
      } finally {
        unmount(rkt.data);
        rkt.tmp.remove();
      }
    });
    it('that is read-only are told in one line', async () => {
      const rkt = new Rkt('readonly');
      const own = tinyImage(rkt);
      mountTmpfs(rkt.data, 'ro,mode=755');
      try {
        for (const args of [
          ['fetch', own],
          ['prepare', stubFlag(rkt), own],
          ['image', 'list'],
        ]) {
          const result = await rkt.run([INSECURE, ...args]);
          if (result.status === 0) continue;
          expectStatus(result, FAILURE);
          assert.match(result.stderr, /read-only file system/);
          assert.equal(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
        }
        await rkt.fails([INSECURE, 'fetch', own], 'read-only file system');
      } finally {
        unmount(rkt.data);
        rkt.tmp.remove();
      }
    });
    it('that has lost pieces of the store are told by name, and healed by fetch', async () => {
      const rkt = new Rkt('lost');
      const own = tinyImage(rkt, { name: 'example.com/lost', exec: ['/x'] });
      const key = await rkt.fetch(own);
      rmSync(`${rkt.data}/cas/blob/sha512/${key.slice(7, 9)}/${key}`);
      rmSync(`${rkt.data}/cas/tree`, { recursive: true, force: true });
      const result = await rkt.run([INSECURE, 'image', 'export', key, rkt.tmp.join('x.aci')]);
      expectStatus(result, FAILURE);
      assert.equal(existsSync(rkt.tmp.join('x.aci')), false);
      await rkt.fetch(own);
      await rkt.ok(['image', 'export', key, rkt.tmp.join('x.aci')]);
      rkt.tmp.remove();
    });
    it('that has a damaged blob are found when it is rendered', async () => {
      const rkt = new Rkt('damaged');
      const own = tinyImage(rkt, { name: 'example.com/damaged', exec: ['/x'] });
      const key = await rkt.fetch(own);
      const blob = `${rkt.data}/cas/blob/sha512/${key.slice(7, 9)}/${key}`;
      const bytes = readFileSync(blob);
      bytes[bytes.lastIndexOf('tiny')] = 0x54;
      writeFileSync(blob, bytes);
      rmSync(`${rkt.data}/cas/tree`, { recursive: true, force: true });
      await rkt.fails([INSECURE, 'prepare', stubFlag(rkt), key], 'image hash does not match expected');
      rkt.tmp.remove();
    });
    it('that has a damaged database is told without a stack trace', async () => {
      const rkt = new Rkt('db');
      await rkt.fetch(tinyImage(rkt));
      for (const name of list(`${rkt.data}/cas/db`))
        writeFileSync(`${rkt.data}/cas/db/${name}`, 'garbage'.repeat(1000));
      const result = await rkt.run(['image', 'list']);
      assert.ok(!result.output.includes('    at '), result.output);
      if (result.status !== 0) assert.match(result.stderr, /cas\/db/);
      rkt.tmp.remove();
    });
  });

  it('data directories may have : and , and blanks in their names', async function () {
    requires(this, 'overlayfs');
    const rkt = new Rkt('odd', 'da:ta, with\\blank');
    const flag = stubFlag(rkt, { run: 'cat stage1/rootfs/opt/stage2/tiny/rootfs/file' });
    const { stdout } = await rkt.ok([INSECURE, 'run', '--net=none', flag, tinyImage(rkt, { exec: ['/x'] })]);
    assert.equal(stdout, 'tiny');
    await recover(rkt);
    rkt.tmp.remove();
  });
});

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isAlive(pid: number, uuid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(uuid.slice(0, 8));
  } catch {
    return false;
  }
}
