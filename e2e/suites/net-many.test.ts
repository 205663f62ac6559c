// Many pods at once: every address is one pod's, and nothing stays (contract stage1 5.4, 5.8). The frame takes stock of
// the host before and after.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

import { netInfoFile } from '@rkt/pod-layout/pod-paths';

import { networkSuite } from '../lib/network.ts';
import { sleep } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';

const PODS = 50;

/** Each pod's systemd takes three of these, and the kernel gives root 128: enough for 42 pods. */
const INOTIFY_LIMIT = '/proc/sys/fs/inotify/max_user_instances';

networkSuite('fifty pods', [], (the) => {
  let limit = '';
  before(() => {
    limit = readFileSync(INOTIFY_LIMIT, 'latin1');
    writeFileSync(INOTIFY_LIMIT, String(Number(limit) + 4 * PODS));
  });
  after(() => writeFileSync(INOTIFY_LIMIT, limit));

  it('up and down in parallel never share an address, and leave nothing', async function () {
    this.timeout(240_000);
    const image = await the.rkt.fetch(the.shell('echo started; sleep 1000'));
    const uuids: string[] = [];
    let wanted = PODS;
    await inParallel(availableParallelism(), async () => {
      while ((wanted -= 1) >= 0) uuids.push(await the.rkt.prepare([image]));
    });
    // Two at a time: more would only take turns.
    const stopped = inTurns(availableParallelism(), async (uuid: string) => {
      await the.rkt.run(['stop', '--force', uuid], { timeoutMs: 200_000 });
    });
    const pods = uuids.map((uuid) =>
      the.rkt.start([INSECURE, 'run-prepared', '--net=default', uuid], { timeoutMs: 200_000 }),
    );
    // All addresses are given while all others are being given; a file says so without a process for each look.
    await Promise.all(
      uuids.map(async (uuid, index) => {
        while (!existsSync(netInfoFile(the.rkt.podDir(uuid)))) {
          assert.equal(pods[index]?.isOver, false, pods[index]?.output ?? '');
          await sleep(100);
        }
      }),
    );
    const { stdout } = await the.rkt.ok(['list', '--no-legend'], { timeoutMs: 200_000 });
    const addresses = [...stdout.matchAll(/default:ip4=([0-9.]+)/g)].map(([, ip]) => ip);
    assert.equal(addresses.length, PODS);
    assert.equal(new Set(addresses).size, PODS);
    const links = the.host.ip('-oneline', 'link', 'show', 'type', 'veth').trim().split('\n');
    assert.equal(links.length, PODS + 1, 'one device for each, and the uplink');
    // Down they may come before the last is up.
    await Promise.all(
      pods.map(async (pod, index) => {
        await Promise.race([pod.waitFor('started', 200_000), pod.ended]);
        await stopped(uuids[index] ?? '');
      }),
    );
    await Promise.all(pods.map(({ ended }) => ended));
    await the.rkt.ok(['gc', '--grace-period=0s'], { timeoutMs: 200_000 });
  });
});

function inParallel<Result>(count: number, work: () => Promise<Result>): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, work));
}

/** `work` with at most `most` calls at a time. */
function inTurns<Value>(
  most: number,
  work: (value: Value) => Promise<void>,
): (value: Value) => Promise<void> {
  const places = Array.from({ length: most }, () => Promise.resolve());
  let next = 0;
  return (value) => {
    const place = (next += 1) % most;
    const turn = (places[place] ?? Promise.resolve()).then(() => work(value));
    places[place] = turn.catch(() => undefined);
    return turn;
  };
}
