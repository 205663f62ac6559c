// The networks that come with rkt, and what pods, list and status show of them (contract stage1 5.1-5.4, 5.7, 5.8).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';

import { netInfoFile, netnsFile } from '@rkt/pod-layout/pod-paths';

import type { PodJson } from '../lib/fixtures.ts';
import { HOST_IP, NEIGHBOUR_IP, networkSuite } from '../lib/network.ts';
import { INSECURE } from '../lib/rkt.ts';

networkSuite('the default network', [], (the) => {
  it('is what a pod gets without --net, and with --net alone', async () => {
    const script = 'ip -4 -o address show dev eth0; ip route; ls /sys/class/net; cat /proc/net/dev | wc -l';
    const lines = await the.lines(script, []);
    const [address = ''] = lines;
    assert.match(address, /inet 172\.16\.28\.2\/24 /);
    assert.deepEqual(lines.slice(1), [
      'default via 172.16.28.1 dev eth0',
      '172.16.28.0/24 via 172.16.28.1 dev eth0  src 172.16.28.2',
      '172.16.28.1 dev eth0 scope link  src 172.16.28.2',
      'eth0',
      'lo',
      '4',
    ]);
    assert.match(
      (await the.lines('ip -4 -o address show dev eth0', ['--net'])).join(),
      /inet 172\.16\.28\.3\/24/,
    );
  });

  it('leads to the gateway, to another pod, and out of the host', async () => {
    const { ips, uuid } = await the.serve();
    const script = [
      'ping -c 1 -W 3 172.16.28.1 > /dev/null && echo gateway',
      `wget -q -O - http://${ips[0]}/name`,
      `ping -c 1 -W 3 ${NEIGHBOUR_IP} > /dev/null && echo out`,
      'ping -c 1 -W 3 127.0.0.1 > /dev/null && echo loopback',
    ].join('; ');
    assert.deepEqual(await the.lines(script, []), ['gateway', `rkt-${uuid}`, 'out', 'loopback']);
    assert.equal(the.host.get(`http://${ips[0]}/name`), `rkt-${uuid}`);
  });

  it('shows in list, in status and in net-info.json', async () => {
    const { uuid } = await the.serve('--net=default:IP=172.16.28.44');
    const status = await the.rkt.status(uuid);
    assert.equal(status['networks'], 'default:ip4=172.16.28.44');
    const { stdout } = await the.rkt.ok(['list', '--no-legend']);
    assert.match(stdout, /\tdefault:ip4=172\.16\.28\.44\n$/);
    const info = readFileSync(netInfoFile(the.rkt.podDir(uuid)), 'utf8');
    assert.equal(
      info,
      '[{"netName":"default","netConf":"net/99-default.conf","pluginPath":"stage1/rootfs/usr/lib/rkt/plugins/net/ptp",' +
        '"ifName":"eth0","ip":"172.16.28.44","args":"IP=172.16.28.44","mask":"255.255.255.0"}]\n',
    );
    const listed = await the.rkt.ok(['list', '--format=json']);
    const [pod] = JSON.parse(listed.stdout) as PodJson[];
    assert.deepEqual(pod?.networks, JSON.parse(info));
  });

  it('has a name among the namespaces of the host, until gc', async () => {
    const { uuid, running, ips } = await the.serve();
    const networks = `default:ip4=${ips[0]}`;
    const pod = the.rkt.podDir(uuid);
    const path = readFileSync(netnsFile(pod), 'utf8');
    assert.match(path, /^\/var\/run\/netns\/cni-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.match(the.host.run('nsenter', `--net=${path}`, 'ip', '-4', '-o', 'address'), /172\.16\.28\./);
    assert.equal(statSync(`${pod}/net/99-default.conf`).isFile(), true);
    await the.rkt.ok(['stop', '--force', uuid]);
    await running.ended;
    assert.equal((await the.rkt.status(uuid))['networks'], networks);
    const gc = await the.rkt.ok(['--debug', 'gc', '--grace-period=0s']);
    assert.match(gc.output, /networking: teardown - executing net-plugin ptp\n$/);
    assert.equal(existsSync(path), false);
  });

  it('tells the pod its address in /etc/hosts', async () => {
    const lines = await the.lines(
      'grep -n 172.16 /etc/hosts; hostname; test -e /etc/resolv.conf || echo no resolv.conf',
      ['--hostname=web'],
    );
    assert.match(lines[0] ?? '', /^\d+:172\.16\.28\.\d+\tweb$/);
    assert.equal(lines[2], 'no resolv.conf');
  });

  it('gives an address that is asked for, and says when it is taken', async () => {
    const { ips } = await the.serve('--net=default:IP=172.16.28.77');
    assert.deepEqual(ips, ['172.16.28.77']);
    await the.rkt.fails(
      [INSECURE, 'run', '--net=default:IP=172.16.28.77', the.shell('true')],
      /^stage1: failed to setup network: error adding network "default": .*requested IP address 172\.16\.28\.77 is not available/m,
    );
  });

  it('takes the arguments of orchestrators when they say that others may be ignored', async () => {
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;IP=172.16.28.9';
    assert.match(
      (await the.lines('ip -4 -o address show dev eth0', [`--net=default:${args}`])).join(),
      /172\.16\.28\.9/,
    );
  });
});

networkSuite('networks without a way out', [], (the) => {
  it('default-restricted reaches the host and no further', async () => {
    const script = [
      'ip -4 -o address show dev eth0',
      'ping -c 1 -W 3 172.31.0.1 > /dev/null && echo gateway',
      `ping -c 1 -W 1 ${NEIGHBOUR_IP} 2>&1 | tail -n 1`,
    ].join('; ');
    const lines = await the.lines(script, ['--net=default-restricted']);
    assert.match(lines[0] ?? '', /inet 172\.31\.0\.2\/16 /);
    assert.equal(lines[1], 'gateway');
    assert.match(lines[2] ?? '', /Network (is )?unreachable/i);
  });

  it('none is a loopback device', async () => {
    const { output } = await the.rkt.ok([
      INSECURE,
      'run',
      '--net=none',
      the.shell('ls /sys/class/net; ip -o link | wc -l'),
    ]);
    assert.match(output, /networking: networking namespace with loopback only/);
    assert.match(output, /: lo\r?\n.*: 1\r?\n/);
    const { stdout } = await the.rkt.ok(['list', '--format=json']);
    assert.doesNotMatch(stdout, /"ip"/);
  });

  it('host is the network that rkt was started in', async () => {
    const lines = await the.lines('ip -4 -o address show dev uplink', ['--net=host']);
    assert.match(lines.join(), new RegExp(HOST_IP.replaceAll('.', '\\.')));
  });

  it('none wins over others, and host over all but none', async () => {
    assert.deepEqual(await the.lines('ls /sys/class/net', ['--net=default,none']), ['lo']);
    assert.match((await the.lines('ls /sys/class/net', ['--net=default,host'])).join(), /uplink/);
  });
});
