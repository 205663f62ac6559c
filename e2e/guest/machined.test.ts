// Pods on a machine with systemd, D-Bus and machined: what the machine knows about them (contract stage1 2.12-2.14).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';

import { forEachFlavour, lines } from '../lib/flavours.ts';
import { inspectImage } from '../lib/images.ts';
import { startPod } from '../lib/pods.ts';
import { eventually } from '../lib/process.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';
import { ask } from '../lib/units.ts';

suite('machined', ['root', 'busybox', 'systemd-host', 'program:machinectl'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour(['isolated'], (flavour) => {
    const words = (script: string, flags: readonly string[] = []): string[] => [
      ...flavour.stage1,
      ...flavour.net,
      image,
      '--exec=/bin/sh',
      ...flags,
      '--',
      '-c',
      script,
    ];

    it('knows a pod while it runs, by its name, its UUID and its scope', async () => {
      const { running, uuid } = await startPod(the.rkt, words('sleep 1000'));
      const name = `rkt-${uuid}`;
      assert.match(
        await ask('machinectl', 'list', '--no-legend'),
        new RegExp(`^${name} +container +rkt`, 'm'),
      );
      const shown = await ask('machinectl', 'show', name);
      const scope = String.raw`machine-rkt\x2d${uuid.replaceAll('-', String.raw`\x2d`)}.scope`;
      for (const line of [
        `Name=${name}`,
        `Id=${uuid.replaceAll('-', '')}`,
        'Service=rkt',
        'Class=container',
        'State=running',
        `Unit=${scope}`,
      ])
        assert.ok(lines(shown).includes(line), `${line} in\n${shown}`);
      assert.match(await ask('machinectl', 'status', '--no-pager', name), /rkt-inspect\.service/);
      // What rkt has written down is where the pod is.
      const subcgroup = readFileSync(`${the.rkt.podDir(uuid)}/subcgroup`, 'utf8');
      assert.equal(subcgroup, `machine.slice/${scope}`);
      const leader = Number(/^Leader=(\d+)$/m.exec(shown)?.[1]);
      assert.match(
        readFileSync(`/proc/${leader}/cgroup`, 'utf8'),
        new RegExp(`^0::/machine.slice/machine-rkt`),
      );
      assert.ok(existsSync(`/sys/fs/cgroup/${subcgroup}/payload/system.slice/rkt-inspect.service`));

      await the.rkt.ok(['stop', uuid]);
      expectStatus(await running.ended, 0);
      await eventually('machined has forgotten it', async () => {
        return !(await ask('machinectl', 'list', '--no-legend')).includes(name);
      });
    });

    it('ends a pod in order when it is asked to', async () => {
      const { running, uuid } = await startPod(
        the.rkt,
        words('trap "echo told; exit 0" TERM; echo waiting; sleep 1000 & wait'),
      );
      await running.waitFor('waiting');
      await ask('machinectl', 'poweroff', `rkt-${uuid}`);
      const result = expectStatus(await running.ended, 0);
      assert.deepEqual(flavour.linesOf(result), ['waiting', 'told']);
      assert.equal((await the.rkt.status(uuid))['state'], 'exited');
    });

    it("shows a pod's journal, while it runs and after", async () => {
      const { running, uuid } = await startPod(the.rkt, words('echo said by the pod; sleep 1000'));
      await running.waitFor('said by the pod');
      const journal = `/var/log/journal/${uuid.replaceAll('-', '')}`;
      assert.equal(readlinkSync(journal), `${the.rkt.podDir(uuid)}/stage1/rootfs${journal}`);
      const read = async (...from: readonly string[]): Promise<string> =>
        ask('journalctl', ...from, '--no-pager', '--output=cat', '--identifier=rkt-inspect');
      await eventually('the journal is on disk', async () =>
        (await read(`--machine=rkt-${uuid}`)).includes('said by the pod'),
      );
      await the.rkt.ok(['stop', uuid]);
      await running.ended;
      assert.match(await read('--merge', `_MACHINE_ID=${uuid.replaceAll('-', '')}`), /said by the pod/);
      assert.match((await the.rkt.ok(['logs', uuid])).stdout, /said by the pod/);
      await the.rkt.ok(['gc', '--grace-period=0s']);
      assert.throws(() => readlinkSync(journal), /ENOENT/);
    });
  });
});
