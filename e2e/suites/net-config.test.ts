// Networks that people configure, and plugins that they bring (contract stage1 5.3, 5.4, 12.4).

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { networkSuite, type NetworkSuite } from '../lib/network.ts';
import { INSECURE } from '../lib/rkt.ts';

/** A plugin that writes down how it is called, and answers what a file says. */
const RECORDER = `#!/bin/sh
log=$(dirname "$0")/log
n=$(ls "$log" | grep -c env)
env > "$log/$n-$CNI_COMMAND.env"
cat > "$log/$n-$CNI_COMMAND.stdin"
pwd > "$log/$n-$CNI_COMMAND.cwd"
answer=$(dirname "$0")/answer-$CNI_COMMAND
if [ -e "$answer.status" ]; then cat "$answer"; exit "$(cat "$answer.status")"; fi
[ ! -e "$answer" ] || cat "$answer"
`;

interface Recorder {
  /** Names of the calls in their order, e.g. `0-ADD`. */
  calls(): string[];
  read(call: string, what: 'env' | 'stdin' | 'cwd'): string;
  answer(command: string, text: string, status?: number): void;
}

function recorder(the: NetworkSuite): Recorder {
  const directory = join(the.rkt.localConfig, 'net.d');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'log'), { recursive: true });
  writeFileSync(join(directory, 'recorder'), RECORDER);
  chmodSync(join(directory, 'recorder'), 0o755);
  return {
    calls: () =>
      the.host
        .run('ls', '-v', join(directory, 'log'))
        .split('\n')
        .filter((name) => name.endsWith('.env'))
        .map((name) => name.slice(0, -'.env'.length)),
    read: (call, what) => readFileSync(join(directory, 'log', `${call}.${what}`), 'utf8'),
    answer: (command, text, status) => {
      writeFileSync(join(directory, `answer-${command}`), text);
      if (status !== undefined) writeFileSync(join(directory, `answer-${command}.status`), String(status));
    },
  };
}

const ADDRESS = { ip: '10.55.0.2/24', gateway: '10.55.0.1' };

networkSuite('plugins', [], (the) => {
  it('get their configuration as it is, and the variables of the convention, for ADD and DEL', async () => {
    const plugin = recorder(the);
    const text = '{\n  "Name": "mine",\t"TYPE": "recorder",\n  "extra" : [1,  2]\n}\n';
    the.network('10-mine.conf', text);
    plugin.answer('ADD', JSON.stringify({ ip4: ADDRESS }));
    const uuid = await the.rkt.prepare([the.shell('true')]);
    await the.rkt.ok([INSECURE, 'run-prepared', '--net=mine:A=1;B=2', uuid]);
    const status = await the.rkt.status(uuid);
    assert.equal(status['networks'], 'mine:ip4=10.55.0.2');
    const pod = the.rkt.podDir(uuid);
    assert.equal(readFileSync(join(pod, 'net/10-mine.conf'), 'utf8'), text);
    const netns = readFileSync(join(pod, 'netns'), 'utf8');
    await the.rkt.ok(['gc', '--grace-period=0s']);
    assert.deepEqual(plugin.calls(), ['0-ADD', '1-DEL']);
    for (const call of plugin.calls()) {
      assert.equal(plugin.read(call, 'stdin'), text);
      const variables = plugin.read(call, 'env').split('\n');
      for (const variable of [
        'CNI_VERSION=0.1.0',
        `CNI_COMMAND=${call.slice(2)}`,
        `CNI_CONTAINERID=${uuid}`,
        `CNI_NETNS=${netns}`,
        'CNI_ARGS=A=1;B=2',
        'CNI_IFNAME=eth0',
        `CNI_PATH=${the.rkt.localConfig}/net.d:/usr/lib/rkt/plugins/net:stage1/rootfs/usr/lib/rkt/plugins/net`,
      ]) {
        assert.ok(variables.includes(variable), `${variable} in ${call}`);
      }
      assert.match(plugin.read(call, 'cwd'), new RegExp(`/pods/[a-z-]+/${uuid}\n$`));
    }
  });

  it('get what ADD answered with CHECK and DEL since 0.4.0, and are checked with --debug', async () => {
    const plugin = recorder(the);
    the.network('10-mine.conf', { cniVersion: '1.0.0', name: 'mine', type: 'recorder' });
    const result = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'h' }, { name: 'eth0', sandbox: '/x' }],
      ips: [
        { address: '10.55.0.1/24', interface: 0 },
        { address: '10.55.0.2/24', gateway: '10.55.0.1', interface: 1 },
        { address: 'fd55::2/64', interface: 1 },
      ],
    };
    plugin.answer('ADD', JSON.stringify(result));
    const { output } = await the.rkt.ok(['--debug', INSECURE, 'run', '--net=mine', the.shell('true')]);
    assert.match(output, /networking: network "mine" is as its plugins made it/);
    const [uuid = ''] = the.rkt.podsIn('run');
    assert.equal((await the.rkt.status(uuid))['networks'], 'mine:ip4=10.55.0.2, mine:ip6=fd55::2');
    await the.rkt.ok(['gc', '--grace-period=0s']);
    assert.deepEqual(plugin.calls(), ['0-ADD', '1-CHECK', '2-DEL']);
    for (const call of ['1-CHECK', '2-DEL']) {
      const stdin = JSON.parse(plugin.read(call, 'stdin')) as { prevResult: unknown };
      assert.deepEqual(stdin.prevResult, result);
    }
  });

  it('of a list are called one after the other, each with the result before it, and left in reverse', async () => {
    const plugin = recorder(the);
    const list = {
      cniVersion: '0.4.0',
      name: 'chain',
      plugins: [
        { type: 'recorder', n: 1 },
        { type: 'recorder', n: 2 },
      ],
    };
    the.network('10-chain.conflist', list);
    plugin.answer(
      'ADD',
      JSON.stringify({ cniVersion: '0.4.0', ips: [{ version: '4', address: '10.55.0.2/24' }] }),
    );
    await the.rkt.ok([INSECURE, 'run', '--net=chain', the.shell('true')]);
    await the.rkt.ok(['gc', '--grace-period=0s']);
    const seen = plugin.calls().map((call) => {
      const { n, prevResult, name, cniVersion } = JSON.parse(plugin.read(call, 'stdin')) as Record<
        string,
        unknown
      >;
      return [call.slice(2), n, prevResult !== undefined, name, cniVersion];
    });
    assert.deepEqual(seen, [
      ['ADD', 1, false, 'chain', '0.4.0'],
      ['ADD', 2, true, 'chain', '0.4.0'],
      ['DEL', 2, true, 'chain', '0.4.0'],
      ['DEL', 1, true, 'chain', '0.4.0'],
    ]);
  });

  it('bring name servers, of which the first count, and flags count more', async () => {
    const plugin = recorder(the);
    the.network('10-a.conf', { name: 'a', type: 'recorder' });
    the.network('20-b.conf', { name: 'b', type: 'recorder' });
    const dns = {
      nameservers: ['1.2.3.4', '4.3.2.1'],
      domain: 'example.org',
      search: ['s1', 's2'],
      options: ['debug'],
    };
    plugin.answer('ADD', JSON.stringify({ ip4: ADDRESS, dns }));
    const image = the.shell('cat /etc/resolv.conf');
    const { output } = await the.rkt.ok([INSECURE, 'run', '--net=a,b', image]);
    assert.match(output, /Warning: network b plugin specified DNS configuration, but DNS already supplied/);
    const script = 'sed -n 1,20p /etc/resolv.conf';
    const fromNetwork = [
      '# Generated by rkt from network a',
      'search s1 s2',
      'nameserver 1.2.3.4',
      'nameserver 4.3.2.1',
      'options debug',
      'domain example.org',
    ];
    assert.deepEqual(await the.lines(script, ['--net=a,b']), fromNetwork);
    assert.deepEqual(await the.lines(script, ['--net=a', '--dns=cni']), fromNetwork);
    assert.deepEqual(await the.lines(script, ['--net=a', '--dns=8.8.8.8']), [
      '# Generated by rkt run',
      'nameserver 8.8.8.8',
    ]);
    assert.deepEqual(await the.lines('test -e /etc/resolv.conf || echo none', ['--net=a', '--dns=none']), [
      'none',
    ]);
  });

  it('that fail stop the pod with their own words, and what was joined before is left', async () => {
    const plugin = recorder(the);
    the.network('10-mine.conf', { name: 'mine', type: 'recorder' });
    the.network('00-first.conf', {
      name: 'first',
      type: 'bridge',
      bridge: 'rkt-first',
      ipam: { type: 'host-local', subnet: '10.66.0.0/24' },
    });
    const image = the.shell('true');
    plugin.answer('ADD', '{"code":42,"msg":"no luck","details":"today"}', 1);
    await the.rkt.fails(
      [INSECURE, 'run', '--net=first,mine', image],
      'stage1: failed to setup network: error adding network "mine": no luck; today',
    );
    plugin.answer('ADD', 'panic: crash', 2);
    await the.rkt.fails(
      [INSECURE, 'run', '--net=mine', image],
      'error adding network "mine": netplugin failed but error parsing its diagnostic message "panic: crash"',
    );
    assert.equal(existsSync('/var/lib/cni/networks/first/10.66.0.2'), false, 'its address is free before gc');
  });

  it('that are missing, networks that are missing, and files that are wrong are named', async () => {
    recorder(the);
    const image = the.shell('true');
    the.network('10-mine.conf', { name: 'mine', type: 'nonesuch' });
    await the.rkt.fails([INSECURE, 'run', '--net=mine', image], 'Could not find plugin "nonesuch"');
    await the.rkt.fails([INSECURE, 'run', '--net=x,mine,y', image], 'networks not found: x, y');
    the.network('20-wrong.conf', '{ "name": ');
    await the.rkt.fails(
      [INSECURE, 'run', '--net=default', image],
      /error loading .*\/net\.d\/20-wrong\.conf/,
    );
  });

  it("take the place of stage1's own, and networks that of the built-in ones", async () => {
    const plugin = recorder(the);
    the.network('10-default.conf', { name: 'default', type: 'recorder' });
    plugin.answer('ADD', '{}');
    const { output } = await the.rkt.ok([INSECURE, 'run', the.shell('true')]);
    assert.match(output, /networking: overriding "default" network with one from .*\/net\.d\r?\n/);
    assert.deepEqual(plugin.calls(), ['0-ADD']);
    rmSync(join(the.rkt.localConfig, 'net.d'), { recursive: true });
  });
});
