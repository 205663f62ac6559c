// The plugins that stage1 brings, each on a real kernel, with the host's real tools beside them (contract stage1 5.4).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { FLAVOURS } from '../lib/flavours.ts';
import { HOST_IP, NEIGHBOUR_IP, networkSuite, type NetworkSuite } from '../lib/network.ts';
import { eventually } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { INSECURE } from '../lib/rkt.ts';

const ADDRESSES =
  'ip -o address show scope global | sed -n "s/^[0-9]*: \\([a-z0-9]*\\) *inet6* \\([^ ]*\\) .*/\\1 \\2/p"';

function freshNetworks(the: NetworkSuite): void {
  rmSync(join(the.rkt.localConfig, 'net.d'), { recursive: true, force: true });
}

networkSuite('networks of a pod', [], (the) => {
  beforeEach(() => freshNetworks(the));

  it('are one interface each, in the order of their files, with their own routes', async () => {
    const ptp = (name: string, subnet: string, routes: string[]): unknown => ({
      name,
      type: 'ptp',
      ipMasq: false,
      ipam: { type: 'host-local', subnet, routes: routes.map((dst) => ({ dst })) },
    });
    the.network('20-a.conf', ptp('a', '10.71.0.0/24', ['10.200.0.0/16']));
    the.network('10-b.conf', ptp('b', '10.72.0.0/24', ['0.0.0.0/0']));
    const lines = await the.lines(`${ADDRESSES}; ip route | sort`, ['--net=a,b']);
    assert.deepEqual(lines, [
      'eth0 10.72.0.2/24',
      'eth1 10.71.0.2/24',
      '10.200.0.0/16 via 10.71.0.1 dev eth1',
      '10.71.0.0/24 via 10.71.0.1 dev eth1  src 10.71.0.2',
      '10.71.0.1 dev eth1 scope link  src 10.71.0.2',
      '10.72.0.0/24 via 10.72.0.1 dev eth0  src 10.72.0.2',
      '10.72.0.1 dev eth0 scope link  src 10.72.0.2',
      'default via 10.72.0.1 dev eth0',
    ]);
    const { stdout } = await the.rkt.ok(['list', '--no-legend']);
    assert.match(stdout, /b:ip4=10\.72\.0\.2, a:ip4=10\.71\.0\.2\n/);
  });

  it('are all that are configured with --net=all', async () => {
    the.network('10-b.conf', {
      name: 'b',
      type: 'ptp',
      ipam: { type: 'host-local', subnet: '10.72.0.0/24' },
    });
    const lines = await the.lines(ADDRESSES, ['--net=all']);
    assert.deepEqual(
      lines.map((line) => line.replace(/\d+\//, 'N/')),
      ['eth0 10.72.0.N/24', 'eth1 172.31.0.N/16', 'eth2 172.16.28.N/24'].sort(),
    );
  });

  it('forward ports to the first that masquerades', async () => {
    the.network('10-b.conf', {
      name: 'b',
      type: 'ptp',
      ipam: { type: 'host-local', subnet: '10.72.0.0/24' },
    });
    const { uuid } = await the.serve('--net=b,default', '--port=http:8080');
    assert.equal(the.host.get('http://127.0.0.1:8080/name'), `rkt-${uuid}`);
    assert.match(
      the.host.run('nft', 'list', 'table', 'ip', `RKT-PFWD-${uuid}`),
      /dnat to 172\.16\.28\.\d+:80/,
    );
  });

  it('may have long names, and masquerade under them', async () => {
    const name = 'a-network-whose-name-is-longer-than-anything-that-iptables-would-take-for-a-chain';
    the.network('10-long.conf', {
      name,
      type: 'ptp',
      ipMasq: true,
      ipam: { type: 'host-local', subnet: '10.73.0.0/24', routes: [{ dst: '0.0.0.0/0' }] },
    });
    assert.deepEqual(
      await the.lines(`ping -c 1 -W 3 ${NEIGHBOUR_IP} > /dev/null && echo out`, [`--net=${name}`]),
      ['out'],
    );
  });

  it('may be IPv6, alone or beside IPv4', async () => {
    const ipam = (ranges: string[]): unknown => ({
      type: 'host-local',
      ranges: ranges.map((subnet) => [{ subnet }]),
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }].slice(2 - ranges.length),
    });
    the.network('10-both.conf', {
      cniVersion: '1.0.0',
      name: 'both',
      type: 'ptp',
      ipam: ipam(['10.74.0.0/24', 'fd74::/64']),
    });
    the.network('20-six.conf', { cniVersion: '0.3.1', name: 'six', type: 'ptp', ipam: ipam(['fd75::/64']) });
    // The host's own side of the network is not usable before the kernel knows that nobody else has its address.
    const answers = async (url: string, uuid: string): Promise<void> => {
      assert.equal(await eventually(url, () => the.host.get(url)), `rkt-${uuid}`);
    };
    const both = await the.serve('--net=both', '--port=http:8080');
    assert.deepEqual(both.ips, ['10.74.0.2', 'fd74::2']);
    await answers('http://[fd74::2]/name', both.uuid);
    the.host.ip('address', 'add', 'fd99::1/64', 'dev', 'uplink', 'nodad');
    the.neighbour.ip('address', 'add', 'fd99::2/64', 'dev', 'uplink', 'nodad');
    try {
      assert.equal(the.neighbour.get('http://[fd99::1]:8080/name'), `rkt-${both.uuid}`);
      assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), `rkt-${both.uuid}`);
    } finally {
      the.host.ip('address', 'delete', 'fd99::1/64', 'dev', 'uplink');
    }
    const six = await the.serve('--net=six');
    assert.deepEqual(six.ips, ['fd75::2']);
    await answers('http://[fd75::2]/name', six.uuid);
    assert.equal((await the.rkt.status(six.uuid))['networks'], 'six:ip6=fd75::2');
  });
});

networkSuite('the plugin', [], (the) => {
  beforeEach(() => freshNetworks(the));

  it('bridge joins pods, and forwarded ports answer neighbours on it', async () => {
    the.network('10-br.conf', {
      Name: 'br',
      Type: 'bridge',
      Bridge: 'rkt-br',
      IsDefaultGateway: true,
      IpMasq: true,
      Ipam: { Type: 'host-local', Subnet: '10.81.0.0/24' },
    });
    const { ips, uuid } = await the.serve('--net=br', '--port=http:8080');
    const script = [
      'ip route | head -n 1',
      `wget -q -O - http://${ips[0]}/name`,
      'wget -q -O - http://10.81.0.1:8080/name',
      `ping -c 1 -W 3 ${NEIGHBOUR_IP} > /dev/null && echo out`,
    ].join('; ');
    assert.deepEqual(await the.lines(script, ['--net=br']), [
      'default via 10.81.0.1 dev eth0',
      `rkt-${uuid}`,
      `rkt-${uuid}`,
      'out',
    ]);
  });

  for (const type of ['macvlan', 'ipvlan']) {
    it(`${type} puts pods on a network of the host's`, async function () {
      requires(this, `link:${type}`);
      the.network('10-lan.conf', {
        cniVersion: '0.4.0',
        name: 'lan',
        type,
        master: 'uplink',
        ipam: {
          type: 'host-local',
          subnet: '10.99.0.0/24',
          rangeStart: '10.99.0.100',
          rangeEnd: '10.99.0.110',
        },
      });
      const { uuid, ips } = await the.serve('--net=lan');
      assert.deepEqual(ips, ['10.99.0.100']);
      assert.equal(the.neighbour.get('http://10.99.0.100/name'), `rkt-${uuid}`);
    });
  }

  it('static gives the address that it is told', async () => {
    const ipam = {
      type: 'static',
      addresses: [{ address: '10.99.0.150/24' }],
    };
    const dns = { nameservers: ['10.99.0.2'] };
    the.network('10-lan.conf', {
      cniVersion: '1.0.0',
      name: 'lan',
      type: 'macvlan',
      master: 'uplink',
      ipam,
      dns,
    });
    assert.deepEqual(await the.lines(`${ADDRESSES}; grep name /etc/resolv.conf`, ['--net=lan']), [
      'eth0 10.99.0.150/24',
      'nameserver 10.99.0.2',
    ]);
  });

  it('portmap forwards the ports of the pod in a list', async () => {
    the.network('10-br.conflist', {
      cniVersion: '1.0.0',
      name: 'br',
      plugins: [
        {
          type: 'bridge',
          bridge: 'rkt-br',
          isDefaultGateway: true,
          ipMasq: true,
          ipam: { type: 'host-local', subnet: '10.82.0.0/24' },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
        { type: 'tuning', sysctl: { 'net.core.somaxconn': '77' } },
        { type: 'firewall', backend: 'iptables' },
      ],
    });
    const { uuid } = await the.serve('--net=br', '--port=http:8080');
    assert.equal(the.host.get(`http://${HOST_IP}:8080/name`), `rkt-${uuid}`);
    assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), `rkt-${uuid}`);
    const rules = the.host.run('nft', 'list', 'ruleset');
    assert.match(rules, /CNI-DN-/);
    assert.doesNotMatch(rules, /RKT-PFWD/);
    assert.deepEqual(await the.lines('cat /proc/sys/net/core/somaxconn', ['--net=br']), ['77']);
  });

  it('bandwidth limits a pod in a list', async function () {
    requires(this, 'program:tc');
    the.network('10-slow.conflist', {
      cniVersion: '0.4.0',
      name: 'slow',
      plugins: [
        { type: 'ptp', ipam: { type: 'host-local', subnet: '10.83.0.0/24' } },
        {
          type: 'bandwidth',
          ingressRate: 8_000_000,
          ingressBurst: 8_000_000,
          egressRate: 8_000_000,
          egressBurst: 8_000_000,
        },
      ],
    });
    await the.serve('--net=slow');
    assert.match(the.host.run('tc', 'qdisc', 'show'), /qdisc tbf .* rate 8Mbit/);
  });

  it('flannel is its delegate, on the range of the daemon', async () => {
    const subnetFile = the.rkt.tmp.join('subnet.env');
    writeFileSync(
      subnetFile,
      'FLANNEL_NETWORK=10.84.0.0/16\nFLANNEL_SUBNET=10.84.7.1/24\nFLANNEL_MTU=1400\nFLANNEL_IPMASQ=true\n',
    );
    the.network('10-flannel.conf', {
      name: 'overlay',
      type: 'flannel',
      subnetFile,
      delegate: { bridge: 'rkt-fl' },
    });
    assert.deepEqual(
      await the.lines(`${ADDRESSES}; ip route | sort; cat /sys/class/net/eth0/mtu`, ['--net=overlay']),
      [
        'eth0 10.84.7.2/24',
        '10.84.0.0/16 via 10.84.7.1 dev eth0',
        '10.84.7.0/24 dev eth0 scope link  src 10.84.7.2',
        '1400',
      ],
    );
    const { stdout } = await the.rkt.ok(['list', '--no-legend']);
    assert.match(stdout, /overlay:ip4=10\.84\.7\.2\n/);
    // Gone with the daemon: what was set up can be taken down all the same.
    rmSync(subnetFile);
  });

  it('dhcp asks its daemon, and says so when there is none', async () => {
    the.network('10-lan.conf', {
      cniVersion: '0.4.0',
      name: 'lan',
      type: 'macvlan',
      master: 'uplink',
      ipam: { type: 'dhcp' },
    });
    await the.rkt.fails(
      [INSECURE, 'run', '--net=lan', the.shell('true')],
      /dhcp\.sock.*\(addresses from DHCP \(plugin macvlan\) need the daemon/,
    );
    const image = FLAVOURS.find(({ name }) => name === 'nspawn')?.image ?? '';
    const directory = the.rkt.tmp.join('dhcp');
    mkdirSync(directory);
    execFileSync('tar', ['-xf', image, '-C', directory, 'rootfs/usr/lib']);
    const daemon = the.rkt.startBare(['daemon'], {}, join(directory, 'rootfs/usr/lib/rkt/plugins/net/dhcp'));
    await eventually('the daemon listens', () => existsSync('/run/cni/dhcp.sock'));
    const leases = the.rkt.tmp.join('leases');
    writeFileSync(leases, '');
    const configuration = the.rkt.tmp.join('udhcpd.conf');
    writeFileSync(
      configuration,
      `start 10.99.0.200\nend 10.99.0.210\ninterface uplink\nlease_file ${leases}\npidfile ${leases}.pid\noption subnet 255.255.255.0\noption router 10.99.0.2\n`,
    );
    const [host, neighbour] = [the.host.netns, the.neighbour.netns];
    the.rkt.netns = neighbour;
    const server = the.rkt.startBare(['udhcpd', '-f', configuration], {}, '/bin/busybox');
    the.rkt.netns = host;
    await eventually('the server runs', () => existsSync(`${leases}.pid`));
    const [address = '', route] = await the.lines(`${ADDRESSES}; ip route | head -n 1`, ['--net=lan']);
    assert.match(address, /^eth0 10\.99\.0\.2(0\d|10)\/24$/);
    assert.equal(route, 'default via 10.99.0.2 dev eth0');
    await the.rkt.ok(['gc', '--grace-period=0s']);
    daemon.kill('SIGTERM');
    server.kill('SIGKILL');
    await Promise.all([daemon.ended, server.ended]);
    assert.match(readFileSync(configuration, 'utf8'), /uplink/);
  });
});
