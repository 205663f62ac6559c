// Limits of apps: enforced by the kernel, which is asked, or refused (contract stage1 2.20, 2.27, 10.2).

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { cgroupsOf } from '../lib/cleanup.ts';
import { RKT_BIN } from '../lib/environment.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { requires, skip } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

/** Doubles a string until there is no memory. */
const HOG = 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done';

suite('limits', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour(['isolators'], (flavour) => {
    const command = (flags: readonly string[], script: string, insecure = INSECURE): string[] => [
      insecure,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      image,
      '--exec=/bin/sh',
      ...flags,
      '--',
      '-c',
      script,
    ];
    // A file of the app's own control group, as the host sees it.
    const control = (name: string): string | undefined => {
      const groups = cgroupsOf(the.rkt.podsIn('run')).filter((path) => path.endsWith('rkt-inspect.service'));
      const file = groups.map((group) => join(group, name)).find((each) => existsSync(each));
      return file === undefined ? undefined : readFileSync(file, 'utf8');
    };

    it('of memory: what takes more is killed, and the kernel has counted it', async () => {
      const pod = the.rkt.start(command(['--memory=32Mi'], `(${HOG}); echo hog $?; sleep 100`));
      await pod.waitFor(/hog 137/);
      assert.equal(control('memory.max') ?? control('memory.limit_in_bytes'), `${32 << 20}\n`);
      assert.match(control('memory.events') ?? control('memory.oom_control') ?? '', /^oom_kill [1-9]/m);
    });

    it('of memory: an app that is killed for it ends by that signal', async () => {
      expectStatus(await the.rkt.run(command(['--memory=16M'], HOG)), 9);
    });

    it('of processor time: what takes more waits, and the kernel has counted it', async () => {
      the.rkt.start(command(['--cpu=200m'], 'while :; do :; done'));
      await eventually('the app is throttled', () =>
        /^nr_throttled ([3-9]|\d\d)/m.test(control('cpu.stat') ?? ''),
      );
      const [quota = 0, period = 1] = (
        control('cpu.max') ?? `${control('cpu.cfs_quota_us')} ${control('cpu.cfs_period_us')}`
      )
        .trim()
        .split(/\s+/)
        .map(Number);
      assert.equal(quota / period, 0.2);
    });

    it('of processor shares reach the control group', async () => {
      the.rkt.start(command(['--cpu-shares=512'], 'sleep 100'));
      const found = (): string | undefined => control('cpu.weight') ?? control('cpu.shares');
      await eventually('the group is there', () => found() !== undefined);
      // Version 2 counts in hundredths of what is usual, version 1 in parts of 1024.
      const wanted = control('cpu.weight') === undefined ? '512\n' : '50\n';
      await eventually('it has its shares', () => found() === wanted);
    });

    it('count once: the last of the image, or the flag, and requests alone are no limits', async () => {
      const isolators = [
        { name: 'resource/memory', value: { limit: '64Mi' } },
        { name: 'resource/memory', value: { request: '16Mi', limit: '48Mi' } },
        { name: 'resource/cpu', value: { request: '100m' } },
      ];
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], { exec: ['/bin/sleep', '100'], app: { isolators } }),
        files: inspectFiles(),
      });
      for (const [flags, limit] of [
        [[], 48],
        [['--memory=32Mi'], 32],
      ] as const) {
        the.rkt.start(flavour.run(own, ...flags));
        const memory = (): string | undefined => control('memory.max') ?? control('memory.limit_in_bytes');
        await eventually('the limit is there', () => memory() === `${limit << 20}\n`, 20_000);
        const quota = control('cpu.max') ?? control('cpu.cfs_quota_us') ?? 'none';
        assert.match(quota, /^(max|-1|none)/);
        await the.rkt.sweep();
      }
    });

    it('cannot be lifted from inside', async () => {
      const script =
        'for d in /sys/fs/cgroup /sys/fs/cgroup/memory; do ' +
        'for f in memory.max memory.limit_in_bytes; do echo 1 > $d/$f && exit; done; mkdir $d/mine && exit; done; echo refused';
      const result = await the.rkt.ok(command(['--memory=64M'], script));
      assert.ok(flavour.linesOf(result).includes('refused'), result.output);
    });

    it('of the oom killer reach the process, lower ones only where the host lets them', async function () {
      const score = 'cat /proc/self/oom_score_adj';
      const raised = await the.rkt.ok(command(['--oom-score-adj=42'], score));
      assert.deepEqual(flavour.linesOf(raised), ['42']);
      const lower = command(['--oom-score-adj=-500'], score);
      if (hasCapability(24)) {
        assert.deepEqual(flavour.linesOf(await the.rkt.ok(lower)), ['-500']);
        skip(this, 'refused only without CAP_SYS_RESOURCE');
      }
      await the.rkt.fails(
        lower,
        /app "rkt-inspect": cannot enforce os\/linux\/oom-score-adj: .*CAP_SYS_RESOURCE/,
      );
      await the.rkt.ok(command(['--oom-score-adj=-500'], score, '--insecure-options=image,limits'));
    });

    for (const [flag, controller] of [
      ['--memory=64M', 'memory'],
      ['--cpu=500m', 'cpu'],
      ['--cpu-shares=100', 'cpu'],
    ] as const) {
      it(`${flag} is refused where there is no such controller, unless that is accepted`, async function () {
        requires(this, 'cgroup-v1', 'program:unshare');
        const without = (insecure: string): string[] => [
          '--mount',
          '--propagation=private',
          'sh',
          '-c',
          `umount /sys/fs/cgroup/${controller} && exec "$@"`,
          'sh',
          RKT_BIN,
          ...the.rkt.directoryFlags,
          ...command([flag], 'echo ran', insecure),
        ];
        const refused = await the.rkt.startBare(without(INSECURE), {}, 'unshare').ended;
        expectStatus(refused, 254);
        assert.match(
          refused.output,
          new RegExp(`cannot enforce \\S+: no pod can use the ${controller} controller`),
        );
        assert.match(refused.output, /--insecure-options=limits/);
        const accepted = await the.rkt.startBare(without('--insecure-options=image,limits'), {}, 'unshare')
          .ended;
        expectStatus(accepted, 0);
        assert.match(
          accepted.output,
          /warning: \S+ isolator set but support disabled in the kernel, skipping/,
        );
        assert.ok(flavour.linesOf(accepted).includes('ran'), accepted.output);
      });
    }

    it('that rkt does not know are named', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], {
          app: { isolators: [{ name: 'resource/network-bandwidth', value: { default: true, limit: '1G' } }] },
        }),
        files: inspectFiles(),
      });
      const result = await the.rkt.ok(flavour.run(own));
      assert.match(
        result.output,
        /warning: app "rkt-inspect": ignoring isolators .*resource\/network-bandwidth/,
      );
    });
  });
});

// proc_pid_status(5).
function hasCapability(number: number): boolean {
  const mask = /^CapEff:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(number)) & 1n) === 1n;
}
