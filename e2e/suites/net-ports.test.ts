// Ports of the host that lead to a pod (contract stage1 5.5).

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';

import { netnsFile } from '@rkt/pod-layout/pod-paths';
import { inspectFiles } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { RKT_BIN } from '../lib/environment.ts';
import { writeImage } from '../lib/images.ts';
import { HOST_IP, NEIGHBOUR_IP, type NetworkSuite, networkSuite, type TestHost } from '../lib/network.ts';
import { eventually, type Running } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { answering } from '../lib/service-programs.ts';
import { tinyProgram } from '../lib/tiny-program.ts';

networkSuite('forwarded ports', [], (the) => {
  const answers = (uuid: string, url: string): void => {
    assert.equal(the.host.get(url), `rkt-${uuid}`, url);
  };

  it('answer from the host, from localhost and from another host', async () => {
    const { uuid } = await the.serve('--port=http:8080');
    for (const ip of [HOST_IP, '127.0.0.1', '127.0.0.2', '172.16.28.1'])
      answers(uuid, `http://${ip}:8080/name`);
    assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), `rkt-${uuid}`);
    assert.equal(the.host.get(`http://${HOST_IP}:8081/name`), undefined);
  });

  it('answer on the one address that was given, and on no other', async () => {
    const { uuid } = await the.serve(`--port=http:${HOST_IP}:8080`);
    answers(uuid, `http://${HOST_IP}:8080/name`);
    assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), `rkt-${uuid}`);
    assert.equal(the.host.get('http://127.0.0.1:8080/name'), undefined);
    assert.equal(the.host.get('http://172.16.28.1:8080/name'), undefined);
  });

  it('answer pods too, also the pod they lead to', async () => {
    const { uuid } = await the.serve('--port=http:8080');
    assert.deepEqual(await the.lines('wget -q -O - http://172.16.28.1:8080/name', []), [`rkt-${uuid}`]);
    const { stdout } = await the.rkt.ok([
      'enter',
      uuid,
      '/bin/wget',
      '-q',
      '-O',
      '-',
      'http://172.16.28.1:8080/name',
    ]);
    assert.equal(stdout.trim(), `rkt-${uuid}`);
  });

  it('of several pods do not disturb each other', async () => {
    const first = await the.serve('--port=http:8081');
    const second = await the.serve('--port=http:8082');
    answers(first.uuid, 'http://127.0.0.1:8081/name');
    await the.rkt.ok(['stop', '--force', first.uuid]);
    await first.running.ended;
    await the.rkt.ok(['rm', first.uuid]);
    answers(second.uuid, 'http://127.0.0.1:8082/name');
    assert.equal(the.host.get('http://127.0.0.1:8081/name'), undefined);
  });

  it('do not open the host: what listens on its loopback is out of reach for pods', async () => {
    const bridge = { name: 'br', type: 'bridge', bridge: 'rkt-br', isGateway: true, ipMasq: true };
    the.network('10-br.conf', { ...bridge, ipam: { type: 'host-local', subnet: '10.44.0.0/24' } });
    const setting = '/proc/sys/net/ipv4/conf/rkt-br/route_localnet';
    const { uuid, running } = await the.serve('--net=br', '--port=http:8080');
    assert.equal(the.host.run('cat', setting).trim(), '1');
    answers(uuid, 'http://127.0.0.1:8080/name');
    // As an app with a raw socket could: packets to 127.0.0.1 that leave the pod for its gateway.
    const netns = readFileSync(netnsFile(the.rkt.podDir(uuid)), 'utf8');
    const inPod = (...command: string[]): string => the.host.run('nsenter', `--net=${netns}`, ...command);
    inPod('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet');
    inPod('ip', 'route', 'delete', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local');
    inPod('ip', 'route', 'delete', 'local', '127.0.0.1', 'dev', 'lo', 'table', 'local');
    inPod('ip', 'route', 'add', '127.0.0.0/8', 'via', '10.44.0.1', 'src', '10.44.0.2');
    the.host.run('nft', 'add', 'table', 'ip', 'e2e');
    the.host.run('nft', 'add', 'chain', 'ip', 'e2e', 'in', '{ type filter hook input priority 350; }');
    the.host.run(
      'nft',
      'add',
      'rule',
      'ip',
      'e2e',
      'in',
      'ip',
      'daddr',
      '127.0.0.1',
      'udp',
      'dport',
      '7777',
      'counter',
    );
    const arrived = (): string | undefined => {
      inPod('bash', '-c', 'echo knock > /dev/udp/127.0.0.1/7777');
      return /packets (\d+)/.exec(the.host.run('nft', 'list', 'table', 'ip', 'e2e'))?.[1];
    };
    assert.equal(arrived(), '0');
    // The second shows that the first was a real attempt.
    the.host.run('nft', 'delete', 'chain', 'ip', `RKT-PFWD-${uuid}`, 'guard');
    assert.equal(arrived(), '1');
    the.host.run('nft', 'delete', 'table', 'ip', 'e2e');
    await the.rkt.ok(['stop', '--force', uuid]);
    await running.ended;
    await the.rkt.ok(['gc', '--grace-period=0s']);
    assert.equal(the.host.run('cat', setting).trim(), '0', 'route_localnet is as it was');
    rmSync(`${the.rkt.localConfig}/net.d/10-br.conf`);
  });

  describe('of apps that are activated by sockets', () => {
    let key = '';
    before(async function () {
      requires(this, 'program:tcc', 'program:systemd-socket-activate');
      const ports = [{ name: 'www', protocol: 'tcp', port: 80, socketActivated: true }];
      const image = writeImage(the.rkt, {
        manifest: imageManifest({ name: 'example.com/answer', exec: ['/answer'], app: { ports } }),
        files: [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'answer', answering(2))],
      });
      key = await the.rkt.fetch(image);
    });
    // Of the first connection alone one could not tell where later ones go.
    const answersTwice = async (run: Running): Promise<void> => {
      const ask = (): string => the.neighbour.run('bash', '-c', `cat < /dev/tcp/${HOST_IP}/8080`);
      await eventually('an answer', () => attempt(ask) === 'hello from the pod\n', 20_000);
      assert.equal(ask(), 'hello from the pod\n');
      expectStatus(await run.ended, 0);
    };

    it("leave the host's sockets alone", async () => {
      const rkt = [RKT_BIN, ...the.rkt.directoryFlags, INSECURE, 'run', '--port=www:8080', key];
      const run = the.rkt.startBare(['--listen=0.0.0.0:8080', ...rkt], {}, 'systemd-socket-activate');
      await run.waitFor(/Listening on/);
      await answersTwice(run);
    });

    it('lead to sockets that are made in the pod', async () => {
      await answersTwice(the.rkt.start([INSECURE, 'run', '--port=www:8080', key]));
    });
  });

  it('need a network: none and host are refused', async () => {
    const image = the.shell('true');
    await the.rkt.fails(
      [INSECURE, 'run', '--net=none', '--port=http:80', image],
      "does not work with 'none' networking",
    );
    await the.rkt.fails(
      [INSECURE, 'run', '--net=host', '--port=http:80', image],
      "does not work with 'host' networking",
    );
  });
});

function attempt(ask: () => string): string | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

// The first rule decides that this host has ip_tables.
const useIpTables = (host: TestHost): void => {
  host.run('iptables-legacy', '-t', 'nat', '-A', 'POSTROUTING', '-s', '192.0.2.1', '-j', 'ACCEPT');
};

const onIpTables = (the: NetworkSuite): void => {
  it('are the chains of rkt 1.30, beside the rules of the host', async () => {
    const { uuid } = await the.serve('--port=http:8080');
    const rules = the.host.run('iptables-legacy-save', '-t', 'nat').split('\n');
    const short = uuid.slice(0, 8);
    for (const rule of [
      `-A POSTROUTING -s 127.0.0.1/32 ! -d 127.0.0.1/32 -j RKT-PFWD-SNAT-${short}`,
      `-A PREROUTING -m addrtype --dst-type LOCAL -j RKT-PFWD-DNAT-${short}`,
      `-A OUTPUT -m addrtype --dst-type LOCAL -j RKT-PFWD-DNAT-${short}`,
      `-A RKT-PFWD-DNAT-${short} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.16.28.2:80`,
      `-A RKT-PFWD-SNAT-${short} -d 172.16.28.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE`,
    ]) {
      assert.ok(rules.includes(rule), `${rule} in\n${rules.join('\n')}`);
    }
    assert.equal(the.host.get('http://127.0.0.1:8080/name'), `rkt-${uuid}`);
    assert.equal(the.neighbour.get(`http://${HOST_IP}:8080/name`), `rkt-${uuid}`);
    assert.equal(the.host.run('nft', 'list', 'ruleset').includes('RKT-PFWD'), false);
  });

  it('masquerade there, too', async () => {
    assert.deepEqual(await the.lines(`ping -c 1 -W 3 ${NEIGHBOUR_IP} > /dev/null && echo out`, []), ['out']);
  });
};

networkSuite('forwarded ports on a host with ip_tables', ['ip_tables'], onIpTables, useIpTables);
