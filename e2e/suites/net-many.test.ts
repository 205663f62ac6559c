// Many pods at once: every address is one pod's, and nothing stays (contract stage1 5.4, 5.8). The frame takes stock of
// the host before and after.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';

import { networkSuite } from '../lib/network.ts';
import { INSECURE } from '../lib/rkt.ts';

const PODS = 50;

networkSuite('fifty pods', [], (the) => {
  it('up and down in parallel never share an address, and leave nothing', async function () {
    this.timeout(240_000);
    const image = await the.rkt.fetch(the.shell('sleep 1000'));
    const uuids = await inParallel(PODS, () => the.rkt.prepare([image]));
    const pods = uuids.map((uuid) =>
      the.rkt.start([INSECURE, 'run-prepared', '--net=default', uuid], { timeoutMs: 200_000 }),
    );
    // All addresses are given while all others are being given.
    const addresses = await Promise.all(
      uuids.map(async (uuid, index) => {
        for (;;) {
          const { networks = '', state } = await the.rkt.status(uuid);
          const ip = /default:ip4=([0-9.]+)/.exec(networks)?.[1];
          if (ip !== undefined) return ip;
          assert.equal(pods[index]?.isOver, false, `${uuid} is ${state}: ${pods[index]?.output}`);
        }
      }),
    );
    assert.equal(new Set(addresses).size, PODS);
    const links = the.host.ip('-oneline', 'link', 'show', 'type', 'veth').trim().split('\n');
    assert.equal(links.length, PODS + 1, 'one device for each, and the uplink');
    await inParallel(availableParallelism(), async () => {
      for (let uuid = uuids.pop(); uuid !== undefined; uuid = uuids.pop()) {
        await the.rkt.run(['status', '--wait-ready', uuid], { timeoutMs: 200_000 });
        await the.rkt.ok(['stop', '--force', uuid], { timeoutMs: 200_000 });
      }
    });
    await Promise.all(pods.map(({ ended }) => ended));
    await the.rkt.ok(['gc', '--grace-period=0s'], { timeoutMs: 200_000 });
  });
});

function inParallel<Result>(count: number, work: () => Promise<Result>): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, work));
}
