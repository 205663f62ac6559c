// Checks of the conformance suite on a pod with a network of its own, on a host that is a network namespace. Runs in the
// mocha process.

import assert from 'node:assert/strict';

import type { PodJson } from '../lib/fixtures.ts';
import { check } from '../lib/conformance.ts';
import type { Flavour } from '../lib/flavours.ts';
import { HOST_IP, type NetworkSuite } from '../lib/network.ts';
import { eventually } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';

/** Declares the checks for one flavour. */
export function networks(the: NetworkSuite, flavour: Flavour): void {
  check(flavour, 'networks', 'a pod has an address and a name there, and its ports answer', async () => {
    const { uuid, ips, running } = await the.serve(...flavour.stage1, '--port=http:8080');
    const name = `rkt-${uuid}`;
    const [ip = ''] = ips;
    assert.match(ip, /^172\.16\.28\.\d+$/);
    for (const address of [`${ip}:80`, `${HOST_IP}:8080`, '127.0.0.1:8080'])
      assert.equal(the.host.get(`http://${address}/name`), name, address);
    assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), name);
    const { stdout } = await the.rkt.ok(['list', '--format=json']);
    const [pod] = JSON.parse(stdout) as PodJson[];
    assert.deepEqual(
      pod?.networks?.map((network) => [network.netName, network.ip]),
      [['default', ip]],
    );
    const look = 'ip -4 -o address show dev eth0; ip route; cat /etc/hosts';
    const inside = await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', look]);
    assert.match(inside.stdout, new RegExp(`inet ${ip}/24 `));
    assert.match(inside.stdout, /^default via 172\.16\.28\.1 dev eth0/m);
    assert.match(inside.stdout, new RegExp(`^${ip}\\s+${name}\\r?$`, 'm'));
    await the.rkt.ok(['stop', '--force', uuid]);
    await running.ended;
    await eventually('it answers no more', () => the.host.get(`http://${ip}/name`) === undefined);
  });
  check(flavour, 'hostNetwork', 'is the network that rkt was started in', async () => {
    const result = await the.rkt.ok(
      [INSECURE, 'run', ...flavour.stage1, '--net=host', the.shell('ip -4 -o address show dev uplink')],
      { timeoutMs: 120_000 },
    );
    assert.ok(flavour.linesOf(result).join('\n').includes(`inet ${HOST_IP}/`), result.output);
  });
}
