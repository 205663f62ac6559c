// Networks, the metadata service and limits of pods in virtual machines (contract stage1 4, 5, 6.3; docs/kvm.md). Starting
// a machine takes seconds, so one pod is asked everything.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { KVM } from '../lib/flavours.ts';
import { HOST_IP, networkSuite } from '../lib/network.ts';
import { eventually } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';

networkSuite('networks of virtual machines', ['program:qemu-system-x86_64'], (the) => {
  beforeEach(function () {
    this.timeout(240_000);
  });

  it('have both families, forwarded ports and the metadata service, and the app its limits', async () => {
    the.network('10-both.conf', {
      cniVersion: '1.0.0',
      name: 'both',
      type: 'ptp',
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.74.0.0/24' }], [{ subnet: 'fd74::/64' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
    });
    const service = the.rkt.start(['metadata-service']);
    await service.waitFor('metadata service running...');
    const { uuid, ips } = await the.serve(...KVM.stage1, '--net=both', '--port=http:8080', '--mds-register');
    assert.deepEqual(ips, ['10.74.0.2', 'fd74::2']);
    const name = `rkt-${uuid}`;
    for (const url of ['http://10.74.0.2/name', 'http://[fd74::2]/name', `http://${HOST_IP}:8080/name`])
      assert.equal(await eventually(url, () => the.host.get(url)), name, url);
    assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), name);

    const ask = [
      'wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid; echo',
      'ip -6 route show default',
      'cat /proc/self/cgroup',
    ];
    const { stdout } = await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', ask.join('; ')]);
    const [answer, route = '', cgroup] = stdout.split('\n').filter(Boolean);
    assert.equal(answer, uuid);
    assert.match(route, /^default via fd74::1 dev eth0/);
    assert.equal(cgroup, '0::/system.slice/web.service');
  });

  it('are entered with the limits of the app, of memory and devices', async () => {
    const file = the.rkt.tmp.join('limited');
    const image = the.shell('echo up; while :; do sleep 1; done');
    const words = ['run', ...KVM.stage1, '--net=default-restricted', `--uuid-file-save=${file}`];
    const pod = the.rkt.start([INSECURE, ...words, image, '--memory=64M']);
    await pod.waitFor(/\bup\n/, 120_000);
    const uuid = readFileSync(file, 'utf8');
    const { stdout } = await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', 'ip -4 -o addr show eth0']);
    assert.match(stdout, /inet 172\.31\.\d+\.\d+\/16 /);
    const eat = await the.rkt.run(['enter', uuid, '/bin/sh', '-c', 'x=xxxxxxxx; while :; do x=$x$x; done']);
    assert.equal(eat.status, 137);
    const probe = ['enter', uuid, '/bin/sh', '-c', 'mknod /disk b 7 0; : < /disk'];
    assert.match((await the.rkt.run(probe)).stderr, /Operation not permitted/);
  });
});
