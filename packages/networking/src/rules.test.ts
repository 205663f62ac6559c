import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chainNames, forwardedPorts } from './forwarded-port.ts';
import { masqueradeChain, removalScript } from './iptables.ts';
import { legacyRules } from './legacy-rules.ts';
import { nftRemoval, nftRules } from './nft-rules.ts';
import type { PodAddress } from './result.ts';
import { deviceTowards } from './route-localnet.ts';

const UUID = '0fceae1c-5b5c-4f5a-8d4c-1f0e2b7a9c3d';
const POD: PodAddress = { family: 4, ip: '172.16.28.2', prefix: 24, gateway: '172.16.28.1' };
const POD6: PodAddress = { family: 6, ip: 'fd00::2', prefix: 64 };
const HTTP = { protocol: 'tcp', hostPort: 8080, podPort: 80 } as const;

describe('rules of forwarded ports', () => {
  it('come from the mappings of the pod', () => {
    const port = { name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false };
    const mapping = { exposed: { name: 'http', hostPort: 8080, hostIP: '10.0.0.1' }, port };
    assert.deepEqual(forwardedPorts([mapping]), [{ ...HTTP, hostIp: '10.0.0.1' }]);
    assert.throws(() => forwardedPorts([{ ...mapping, port: { ...port, protocol: 'icmp' } }]), {
      code: 'bad-network-config',
    });
  });

  it('of nf_tables are a table of the pod alone', () => {
    const text = nftRules(UUID, [{ ...HTTP, hostIp: '10.0.0.1' }], [POD]);
    assert.ok(text.startsWith(nftRemoval(UUID)));
    assert.match(text, /ip daddr 10\.0\.0\.1 tcp dport 8080 dnat to 172\.16\.28\.2:80\n/);
    assert.doesNotMatch(text.slice(nftRemoval(UUID).length), /table ip6/);
    assert.match(nftRules(UUID, [HTTP], [POD]), /\ntcp dport 8080 dnat to 172\.16\.28\.2:80\n/);
    assert.match(nftRules(UUID, [{ ...HTTP, hostIp: '0.0.0.0' }], [POD]), /\ntcp dport 8080 dnat/);
  });

  it('of nf_tables serve IPv6 where the pod has it', () => {
    assert.match(nftRules(UUID, [HTTP], [POD, POD6]), /\ntcp dport 8080 dnat to \[fd00::2\]:80\n/);
    assert.throws(() => nftRules(UUID, [{ ...HTTP, hostIp: '::1' }], [POD]), { code: 'filter-failed' });
  });

  it('of nf_tables are ones that nft takes, and removal removes them', function () {
    const inOwnNetwork = (script: string): string => {
      const { status, stdout, stderr } = spawnSync(
        'unshare',
        ['--net', 'sh', '-c', 'nft -f - && nft list ruleset'],
        {
          input: script,
          encoding: 'utf8',
        },
      );
      assert.equal(status, 0, stderr);
      return stdout;
    };
    if (process.getuid?.() !== 0 || spawnSync('nft', ['--version']).status !== 0) {
      this.test!.title += ' [needs root and nft]';
      this.skip();
    }
    const rules = nftRules(UUID, [HTTP, { ...HTTP, hostIp: '::1', protocol: 'udp' }], [POD, POD6]);
    const listed = inOwnNetwork(rules);
    assert.match(listed, /table ip RKT-PFWD-0fceae1c/);
    assert.match(listed, /table ip6 RKT-PFWD-0fceae1c/);
    assert.equal(inOwnNetwork(`${rules}${rules}${nftRemoval(UUID)}`), '');
  });

  it('of ip_tables are the chains of rkt 1.30', () => {
    const { dnat, snat } = chainNames(UUID);
    const lines = legacyRules(UUID, [{ ...HTTP, hostIp: '10.0.0.1' }], [POD]).split('\n');
    for (const line of [
      `-I POSTROUTING 1 -s 127.0.0.1 ! -d 127.0.0.1 -j ${snat}`,
      `-I PREROUTING 1 -m addrtype --dst-type LOCAL -j ${dnat}`,
      `-I OUTPUT 1 -m addrtype --dst-type LOCAL -j ${dnat}`,
      '-A RKT-PFWD-DNAT-0fceae1c -d 10.0.0.1 -p tcp --dport 8080 -j DNAT --to-destination 172.16.28.2:80',
      '-A RKT-PFWD-SNAT-0fceae1c -p tcp -d 172.16.28.2 --dport 80 -j MASQUERADE',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.throws(() => legacyRules(UUID, [HTTP], [POD6]), { code: 'filter-failed' });
  });

  it('are removed with all that leads to them, and nothing else', () => {
    const saved = [
      '*nat',
      ':POSTROUTING ACCEPT [0:0]',
      ':CNI-a - [0:0]',
      ':CNI-ab - [0:0]',
      '-A POSTROUTING -s 10.0.0.2/32 -m comment --comment "name: \\"x\\" id: \\"y\\"" -j CNI-a',
      '-A POSTROUTING -s 10.0.0.3/32 -j CNI-ab',
      '-A CNI-a -d 10.0.0.0/24 -j ACCEPT',
      'COMMIT',
    ].join('\n');
    assert.equal(
      removalScript(saved, 'nat', ['CNI-a', 'CNI-none']),
      [
        '*nat',
        '-D POSTROUTING -s 10.0.0.2/32 -m comment --comment "name: \\"x\\" id: \\"y\\"" -j CNI-a',
        '-F CNI-a',
        '-X CNI-a',
        'COMMIT',
        '',
      ].join('\n'),
    );
    assert.equal(removalScript(saved, 'nat', ['CNI-none']), '');
  });

  it("name the chain of plugins' masquerading", () => {
    assert.match(
      masqueradeChain('a-network-of-more-than-fifty-characters-which-must-work', UUID),
      /^CNI-[0-9a-f]{24}$/,
    );
  });

  it('go by the device of the most exact route', () => {
    const routes = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'cni0\t001C10AC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
      'veth1\t021C10AC\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0',
      '',
    ].join('\n');
    assert.equal(deviceTowards('172.16.28.2', routes), 'veth1');
    assert.equal(deviceTowards('172.16.28.3', routes), 'cni0');
    assert.equal(deviceTowards('8.8.8.8', routes), 'eth0');
    assert.equal(deviceTowards('8.8.8.8', 'Iface\n'), undefined);
  });
});
