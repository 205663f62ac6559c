// Pods on networks of their own and the metadata service (contract stage1 5.6, 6.3, 10.1).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { HOST_IP, networkSuite } from '../lib/network.ts';
import type { Running } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';

networkSuite('metadata on networks', [], (the) => {
  const GATEWAYS = { default: '172.16.28.1', 'default-restricted': '172.31.0.1' };
  const ASK =
    'echo url=$AC_METADATA_URL; echo uuid=$(wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid 2>&1)';

  const startService = async (...flags: readonly string[]): Promise<Running> => {
    const service = the.rkt.start(['metadata-service', ...flags]);
    await service.waitFor('metadata service running...');
    return service;
  };
  /** A pod whose app asks for its UUID every second. */
  const startPod = async (...flags: readonly string[]): Promise<{ pod: Running; uuid: string }> => {
    const file = the.rkt.tmp.join('asking');
    const image = the.shell(`while :; do ${ASK}; sleep 1; done`);
    const words = ['run', '--mds-register', `--uuid-file-save=${file}`, ...flags, image];
    const pod = the.rkt.start([INSECURE, ...words]);
    await pod.waitFor('url=');
    return { pod, uuid: readFileSync(file, 'utf8') };
  };
  /** Addresses and ports of TCP sockets that listen. */
  const listening = (): string[] =>
    the.host
      .run('ss', '--numeric', '--listening', '--tcp', '--no-header')
      .split('\n')
      .flatMap((line) => line.trim().split(/\s+/)[3] ?? [])
      .filter((address) => address.includes(':18112'))
      .sort();

  for (const [network, gateway] of Object.entries(GATEWAYS)) {
    it(`is served on the gateway of ${network} while a pod is there, and nowhere else`, async () => {
      const service = await startService();
      assert.deepEqual(listening(), ['127.0.0.1:18112']);
      const { pod, uuid } = await startPod(`--net=${network}`);
      await pod.waitFor(`uuid=${uuid}`);
      assert.match(pod.output, new RegExp(`url=http://${gateway}:18112/[0-9a-f]{32}\\r?\\n`));
      assert.deepEqual(listening(), ['127.0.0.1:18112', `${gateway}:18112`]);
      await the.rkt.ok(['stop', uuid]);
      await the.rkt.ok(['status', '--wait', uuid]);
      await the.rkt.ok(['rm', uuid]);
      await service.waitFor(`no longer listening on ${gateway}`);
      assert.deepEqual(listening(), ['127.0.0.1:18112']);
    });
  }

  it('is there when the app starts, for many pods at once', async () => {
    await startService();
    const pods = Array.from({ length: 4 }, async (_, index) => {
      const file = the.rkt.tmp.join(`many-${index}`);
      const lines = await the.lines(ASK, ['--mds-register', `--uuid-file-save=${file}`]);
      assert.equal(lines.at(-1), `uuid=${readFileSync(file, 'utf8')}`);
    });
    await Promise.all(pods);
  });

  it('is served at the address that was chosen, which pods are told', async () => {
    await startService(`--listen-address=${HOST_IP}`, '--listen-port=8112');
    const lines = await the.lines(ASK, ['--mds-register']);
    assert.match(
      lines.join('\n'),
      new RegExp(`^url=http://${HOST_IP}:8112/[0-9a-f]{32}\\nuuid=[0-9a-f-]{36}$`),
    );
  });

  it('comes back after kill -9, on the gateway too', async () => {
    const first = await startService();
    const { pod, uuid } = await startPod();
    await pod.waitFor(`uuid=${uuid}`);
    first.kill('SIGKILL');
    await first.ended;
    await pod.waitFor('Connection refused');
    const second = await startService();
    await second.waitFor('listening on 172.16.28.1:18112');
    await pod.waitFor(new RegExp(`Connection refused[^]*uuid=${uuid}`));
  });

  it('is not reached from a network without a gateway, and the pod says so', async () => {
    await startService();
    the.network('10-island.conf', {
      cniVersion: '0.4.0',
      name: 'island',
      type: 'macvlan',
      master: 'uplink',
      ipam: { type: 'static', addresses: [{ address: '10.77.0.2/24' }] },
    });
    const image = the.shell('echo url=$AC_METADATA_URL');
    const { stderr, stdout } = await the.rkt.ok([INSECURE, 'run', '--net=island', '--mds-register', image]);
    assert.match(stderr, /^warning: the pod cannot reach the metadata service: its network has no gateway$/m);
    assert.match(stdout, /: url=\r?\n/);
  });
});
