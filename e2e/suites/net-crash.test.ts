// Networks of pods that were killed while they were set up, of a gc that was killed, and of a host that was rebooted: gc
// leaves nothing of them (contract stage1 5.8). The frame takes stock of the host after every test as well.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { netnsFile } from '@rkt/pod-layout/pod-paths';

import { mountPoints } from '../lib/cleanup.ts';
import { hostState, networkSuite, type NetworkSuite } from '../lib/network.ts';
import { eventually, sleep } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';

/** What a pod of these suites joins: rules, addresses and devices of all kinds. */
const FLAGS = ['--net=default,br', '--port=http:8080'];

function configure(the: NetworkSuite): void {
  the.network('50-br.conflist', {
    cniVersion: '1.0.0',
    name: 'br',
    plugins: [
      {
        type: 'bridge',
        bridge: 'rkt-br',
        isGateway: true,
        ipMasq: true,
        ipam: { type: 'host-local', subnet: '10.91.0.0/24' },
      },
      { type: 'firewall', backend: 'iptables' },
    ],
  });
}

networkSuite('a pod that is killed', [], (the) => {
  before(() => configure(the));

  it('at any moment of its set-up leaves nothing behind gc, nor does a gc that is killed', async function () {
    this.timeout(300_000);
    const image = the.shell('sleep 1000');
    // Warm, so that all starts take alike; and the bridge is there.
    await the.serve(...FLAGS);
    await the.rkt.sweep();
    const setUpMs = await timeOfSetUp(the, image);
    const clean = hostState(the.host);
    const reached = new Set<string>();
    for (let step = 0; step < 36; step += 1) {
      const running = the.rkt.start([INSECURE, 'run', ...FLAGS, image]);
      await networkBegins(the, running.ended);
      // Half as long again at the end: not all starts take alike.
      const moment = (step * setUpMs) / 24;
      await sleep(moment);
      running.kill('SIGKILL');
      await running.ended;
      const [uuid = ''] = the.rkt.podsIn('run');
      for (const name of filesOf(the, uuid)) reached.add(name);
      if (step % 3 === 0) {
        const gc = the.rkt.start(['gc', '--grace-period=0s']);
        await sleep(40 + step * 4);
        gc.kill('SIGKILL');
        await gc.ended;
      }
      await the.rkt.sweep();
      assert.deepEqual(hostState(the.host), clean, `killed ${moment} ms after the namespace`);
    }
    // The moments lie before, between and after the steps.
    for (const name of [
      '99-default.conf.attachment',
      '50-br.conflist.attachment',
      'forwarded-ports',
      'net-info.json',
    ]) {
      assert.ok(reached.has(name), `${name} was reached`);
    }
  });

  it('while a plugin works: gc waits for the plugin, and undoes what it did', async () => {
    const directory = join(the.rkt.localConfig, 'net.d');
    const started = the.rkt.tmp.join('plugin-started');
    // Looks like ptp, but takes its time first.
    writeFileSync(
      join(directory, 'slow'),
      `#!/bin/sh\nif [ $CNI_COMMAND = ADD ]; then touch ${started}; sleep 2; fi\nexec stage1/rootfs/usr/lib/rkt/plugins/net/ptp\n`,
      { mode: 0o755 },
    );
    the.network('10-slow.conf', {
      name: 'slow',
      type: 'slow',
      ipMasq: true,
      ipam: { type: 'host-local', subnet: '10.92.0.0/24' },
    });
    const running = the.rkt.start([INSECURE, 'run', '--net=slow', the.shell('true')]);
    for (let wait = 0; wait < 500 && !existsSync(started); wait += 1) await sleep(20);
    running.kill('SIGKILL');
    await running.ended;
    await the.rkt.sweep();
    assert.equal(existsSync('/var/lib/cni/networks/slow/10.92.0.2'), false);
  });
});

networkSuite('after a reboot', [], (the) => {
  before(() => configure(the));

  const die = async (): Promise<string> => {
    const { running, uuid } = await the.serve(...FLAGS);
    await the.rkt.ok(['stop', '--force', uuid]);
    await running.ended;
    return uuid;
  };
  const unmountAll = (): void => {
    for (const point of mountPoints()
      .filter((each) => each.startsWith(`${the.rkt.data}/pods/`))
      .toReversed())
      openKernel().umount2(point, MNT_DETACH);
  };

  it('gc frees the addresses of pods that ran before, and says nothing of what is gone', async () => {
    const uuid = await die();
    const netns = readFileSync(netnsFile(the.rkt.podDir(uuid)), 'utf8');
    // What a reboot takes: mounts, namespaces, devices, rules, and what is in /run.
    unmountAll();
    openKernel().umount2(netns, MNT_DETACH);
    rmSync(netns);
    rmSync('/run/rkt/port-forward', { recursive: true });
    the.host.run('nft', 'flush', 'ruleset');
    the.host.ip('link', 'delete', 'rkt-br');
    await eventually('devices go with their namespace', () =>
      hostState(the.host).links.every((name) => !name.startsWith('veth')),
    );
    assert.equal(existsSync('/var/lib/cni/networks/default'), true);
    const { output } = await the.rkt.ok(['--debug', 'gc', '--grace-period=0s']);
    assert.match(output, /networking: teardown - executing net-plugin bridge\n$/);
    assert.doesNotMatch(output, /error|warning/i);
  });

  it('of nothing but the namespace, gc removes the rules too', async () => {
    const uuid = await die();
    const netns = readFileSync(netnsFile(the.rkt.podDir(uuid)), 'utf8');
    openKernel().umount2(netns, MNT_DETACH);
    rmSync(netns);
    await the.rkt.ok(['gc', '--grace-period=0s']);
  });
});

/** Waits until a pod of the only running rkt has a namespace, or rkt has ended. */
async function networkBegins(the: NetworkSuite, ended: Promise<unknown>): Promise<void> {
  let over = false;
  void ended.then(() => (over = true));
  while (!over) {
    const [uuid] = the.rkt.podsIn('run');
    if (uuid !== undefined && existsSync(netnsFile(the.rkt.podDir(uuid)))) return;
    await sleep(1);
  }
}

/** How long a pod takes from its namespace to the end of its set-up, in milliseconds. */
async function timeOfSetUp(the: NetworkSuite, image: string): Promise<number> {
  const running = the.rkt.start([INSECURE, 'run', ...FLAGS, image]);
  await networkBegins(the, running.ended);
  const began = performance.now();
  const [uuid = ''] = the.rkt.podsIn('run');
  await eventually('the pod is in its networks', () => filesOf(the, uuid).includes('net-info.json'));
  const timeMs = performance.now() - began;
  running.kill('SIGKILL');
  await running.ended;
  await the.rkt.sweep();
  return timeMs;
}

function filesOf(the: NetworkSuite, uuid: string): string[] {
  const pod = the.rkt.podDir(uuid);
  const all = [pod, join(pod, 'net')].map((directory) =>
    existsSync(directory) ? readdirSync(directory) : [],
  );
  return all.flat();
}
