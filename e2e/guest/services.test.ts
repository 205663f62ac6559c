// Pods as services of a machine with systemd (contract stage1 2.12, 2.27, 2.30): unit files and systemd-run, readiness,
// orderly ends, statuses, limits of the unit.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

import { inspectFiles } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { RKT_BIN } from '../lib/environment.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';
import { NOTIFY } from '../lib/service-programs.ts';
import { suite } from '../lib/suite.ts';
import { tinyProgram } from '../lib/tiny-program.ts';
import { ask, execLine, Units } from '../lib/units.ts';

/** Says that it was told to end, and does. */
const POLITE = 'trap "echo told; exit 0" TERM; echo waiting; sleep 1000 & wait';

suite('services of the machine', ['root', 'busybox', 'systemd-host', 'program:tcc'], (the) => {
  const units = new Units();
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour(['isolated'], (flavour) => {
    // Before the suite collects what is left.
    afterEach(() => units.remove());
    const command = (script: string): string[] => [
      RKT_BIN,
      ...the.rkt.directoryFlags,
      INSECURE,
      'run',
      ...flavour.stage1,
      ...flavour.net,
      image,
      '--exec=/bin/sh',
      '--',
      '-c',
      script,
    ];
    const write = (name: string, words: readonly string[], lines: readonly string[] = []): Promise<void> =>
      units.write(
        name,
        [
          '[Service]',
          ...lines,
          `Environment=TMPDIR=${the.rkt.scratch}`,
          `ExecStart=${execLine(words)}`,
          '',
        ].join('\n'),
      );
    const onlyPod = (): string => {
      const [uuid = '', ...more] = the.rkt.podsIn('run');
      assert.deepEqual(more, []);
      return uuid;
    };

    for (const mode of ['mixed', 'process', 'control-group']) {
      it(`are ready when the pod is, and end in order with KillMode=${mode}`, async () => {
        const unit = `rkt-e2e-${mode}.service`;
        await write(unit, command(POLITE), [
          'Type=notify',
          `KillMode=${mode}`,
          'Delegate=yes',
          'Slice=machine.slice',
        ]);
        await ask('systemctl', 'start', unit);
        // systemctl returns when the unit is active, which a unit of this type is when its pod is ready.
        const uuid = onlyPod();
        await the.rkt.ok(['status', '--wait-ready=0s', uuid]);
        assert.equal((await the.rkt.status(uuid))['pid'], await units.property(unit, 'MainPID'));
        await eventually('the app waits', async () => (await units.journal(unit)).includes('waiting'));

        await ask('systemctl', 'stop', unit);
        assert.equal(await units.property(unit, 'ActiveState'), 'inactive');
        assert.equal(await units.property(unit, 'Result'), 'success');
        assert.equal((await the.rkt.status(uuid))['state'], 'exited');
        // With control-group systemd kills the apps, too, so nobody knows who is first.
        if (mode !== 'control-group') assert.match(await units.journal(unit), /told/);
      });
    }

    it('keep their pods in the cgroup of the unit, where its limits hold', async () => {
      const unit = 'rkt-e2e-cgroup.service';
      const hog = 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done';
      await write(unit, command(`(${hog}); echo hog $?; sleep 1000`), [
        'Type=notify',
        'Delegate=yes',
        'MemoryMax=96M',
      ]);
      await ask('systemctl', 'start', unit);
      const uuid = onlyPod();
      const cgroup = `system.slice/${unit}/payload`;
      assert.equal(readFileSync(`${the.rkt.podDir(uuid)}/subcgroup`, 'utf8'), cgroup);
      assert.ok(existsSync(`/sys/fs/cgroup/${cgroup}/system.slice/rkt-inspect.service`));
      assert.match(await ask('systemctl', 'status', '--no-pager', unit), /sleep 1000|rkt-inspect\.service/);
      await eventually('the hog is killed', async () => (await units.journal(unit)).includes('hog 137'));
      assert.match(
        readFileSync(`/sys/fs/cgroup/system.slice/${unit}/memory.events`, 'utf8'),
        /^oom_kill [1-9]/m,
      );
    });

    it('are as long not ready as an app is not', async () => {
      const unit = 'rkt-e2e-late.service';
      const manifest = imageManifest({
        name: 'example.com/notify',
        exec: ['/notify'],
        annotations: { 'appc.io/executor/supports-systemd-notify': 'true' },
      });
      const files = [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'notify', NOTIFY)];
      const notifying = writeImage(the.rkt, { manifest, files });
      const words = [
        RKT_BIN,
        ...the.rkt.directoryFlags,
        INSECURE,
        'run',
        ...flavour.stage1,
        ...flavour.net,
        notifying,
      ];
      await write(unit, words, ['Type=notify', 'KillMode=mixed', 'Delegate=yes']);
      await ask('systemctl', 'start', '--no-block', unit);
      // The app waits for a second before it tells: while it says nothing, the unit must not be active.
      await eventually('the unit is active', async () => {
        const state = await units.property(unit, 'ActiveState');
        const said = await units.journal(unit);
        if (state === 'active') assert.match(said, /telling/);
        else assert.equal(state, 'activating', said);
        return state === 'active';
      });
    });

    it('fail with the status of the app', async () => {
      const unit = 'rkt-e2e-fails.service';
      await write(unit, command('exit 7'), ['Type=exec', 'Delegate=yes', 'KillMode=mixed']);
      await ask('systemctl', 'start', unit);
      await units.state(unit, 'failed');
      assert.equal(await units.property(unit, 'ExecMainStatus'), '7');
      assert.equal(await units.property(unit, 'Result'), 'exit-code');
    });

    it('can be made on the spot by systemd-run', async () => {
      const flags = ['--wait', '--pipe', '--collect', '--property=Delegate=yes', '--property=KillMode=mixed'];
      const words = ['--quiet', ...flags, `--setenv=TMPDIR=${the.rkt.scratch}`, '--'];
      const said = await ask('systemd-run', ...words, ...command('echo hello from a unit; exit 0'));
      assert.deepEqual(flavour.linesOf({ output: said }), ['hello from a unit']);
      const cgroup = readFileSync(`${the.rkt.podDir(onlyPod())}/subcgroup`, 'utf8');
      assert.match(cgroup, /^system\.slice\/run-.*\.service\/payload$/);
    });

    it('are stopped by rkt stop, and in the end by rkt stop --force', async () => {
      const unit = 'rkt-e2e-stopped.service';
      await write(unit, command(POLITE), ['Type=notify', 'Delegate=yes', 'KillMode=mixed']);
      await ask('systemctl', 'start', unit);
      await eventually('the app waits', async () => (await units.journal(unit)).includes('waiting'));
      await the.rkt.ok(['stop', onlyPod()]);
      await units.state(unit, 'inactive');
      assert.equal(await units.property(unit, 'Result'), 'success');
      await the.rkt.ok(['gc', '--grace-period=0s']);

      await ask('systemctl', 'start', unit);
      await the.rkt.ok(['stop', '--force', onlyPod()]);
      await units.state(unit, 'failed');
      assert.equal(await units.property(unit, 'Result'), 'signal');
    });
  });
});
