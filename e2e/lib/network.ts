// Hosts made of network namespaces, on which pods get networks while the machine's own stays as it is. Runs in the mocha
// process, in the mount namespace of the suite.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { FORWARD_STATE_DIR, NETNS_DIR } from '@rkt/pod-layout/net-paths';
import { minimalImage } from '@rkt/testkit/debian-image';

import { writeImage } from './images.ts';
import type { Running, StartOptions } from './process.ts';
import { requires, type Requirement } from './requires.ts';
import { inNamespace, INSECURE, type Rkt } from './rkt.ts';
import { type Suite, suite } from './suite.ts';

/** Where host-local keeps addresses. */
const IPAM_DIR = '/var/lib/cni';

/** Directories of the host whose content each suite has for itself. */
const OWN_DIRECTORIES: readonly string[] = [IPAM_DIR, NETNS_DIR, '/run/rkt', '/run/cni'];

/** Address of the host that runs pods, and of its neighbour, on the link between them. */
export const HOST_IP = '10.99.0.1';
export const NEIGHBOUR_IP = '10.99.0.2';

/** A machine that is a network namespace. */
export class TestHost {
  readonly netns: string;

  constructor(name: string) {
    this.netns = join('/run/netns', name);
    execFileSync('ip', ['netns', 'add', name]);
    this.ip('link', 'set', 'lo', 'up');
  }

  /** Runs ip(8) there. */
  ip(...args: readonly string[]): string {
    return this.run('ip', ...args);
  }

  /** Runs a program there; gives what it prints. @throws Error when it fails */
  run(...command: readonly string[]): string {
    const [program = '', ...args] = [...inNamespace(this.netns), ...command];
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** What a web server answers, or undefined when it cannot be reached. */
  get(url: string): string | undefined {
    const args = [
      `--net=${this.netns}`,
      '--',
      'curl',
      '--silent',
      '--globoff',
      '--max-time',
      '3',
      '--fail',
      url,
    ];
    const { status, stdout } = spawnSync('nsenter', args, { encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  }
}

/** What pods have on a host beside their directories. */
export interface HostState {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly rules: readonly string[];
  readonly files: readonly string[];
}

interface IpLink {
  readonly ifname: string;
  readonly addr_info: readonly { readonly local: string; readonly family: string }[];
}

interface NftObject {
  readonly rule?: { readonly chain: string };
  readonly chain?: { readonly name: string; readonly hook?: string };
  readonly table?: { readonly name: string };
}

/** Takes stock; two stocks are equal when nothing was left behind in between. */
export function hostState(host: TestHost): HostState {
  const links = JSON.parse(host.ip('-json', 'address')) as IpLink[];
  const { nftables } = JSON.parse(host.run('nft', '--json', 'list', 'ruleset')) as { nftables: NftObject[] };
  const legacy = spawnSync(
    'nsenter',
    [
      `--net=${host.netns}`,
      'sh',
      '-c',
      'for t in $(cat /proc/net/ip_tables_names); do iptables-legacy-save -t $t; done',
    ],
    { encoding: 'utf8' },
  ).stdout;
  return {
    links: links.map(({ ifname }) => ifname).sort(),
    addresses: links
      .flatMap(({ ifname, addr_info }) => addr_info.map(({ local }) => `${ifname} ${local}`))
      // The kernel's own come and go with the state of a link.
      .filter((address) => !address.includes(' fe80::'))
      .sort(),
    rules: [
      ...nftables.flatMap(podRule),
      ...legacy.split('\n').filter((line) => /^(-A |:(RKT|CNI))/.test(line)),
    ].sort(),
    files: [IPAM_DIR, '/run/netns', FORWARD_STATE_DIR]
      .flatMap(filesBelow)
      .filter((file) => !/\/(lock|last_reserved_ip\.\d+)$/.test(file))
      .sort(),
  };
}

// Chains that the plugins portmap and firewall make once for all pods.
const SHARED_CHAINS = [
  'CNI-HOSTPORT-DNAT',
  'CNI-HOSTPORT-MASQ',
  'CNI-HOSTPORT-SETMARK',
  'CNI-FORWARD',
  'CNI-ADMIN',
];
const WITHOUT_PODS = ['CNI-HOSTPORT-MASQ', 'CNI-HOSTPORT-SETMARK'];

function podRule({ rule, chain, table }: NftObject): string[] {
  // iptables makes its base chains at its first call, and keeps them.
  if (chain !== undefined) {
    return chain.hook === undefined && !SHARED_CHAINS.includes(chain.name) ? [`chain ${chain.name}`] : [];
  }
  if (table !== undefined) return table.name.startsWith('RKT-') ? [`table ${table.name}`] : [];
  if (rule === undefined || WITHOUT_PODS.includes(rule.chain)) return [];
  const text = JSON.stringify({ ...rule, handle: 0 });
  if (SHARED_CHAINS.some((name) => text.includes(`{"target":"${name}"}`))) return [];
  return [text.replaceAll(/"packets":\d+,"bytes":\d+/g, '')];
}

/** Plugins make a bridge for the first pod and leave it; here it goes after the last one. */
function removeBridges(host: TestHost): void {
  for (const { ifname } of JSON.parse(host.ip('-json', 'link', 'show', 'type', 'bridge')) as IpLink[])
    host.ip('link', 'delete', ifname);
}

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((file) => !statSync(file).isDirectory() || directory === FORWARD_STATE_DIR);
  } catch {
    return [];
  }
}

/** What the tests of a network suite share. */
export interface NetworkSuite extends Suite {
  /** Where rkt runs. */
  readonly host: TestHost;
  /** Another machine on a link with the host; it knows no way to pods. */
  readonly neighbour: TestHost;
  /** Writes a network configuration of this host. */
  network(file: string, content: unknown): void;
  /** An image with busybox whose app, a shell script, may listen on port 80 (name `http`). */
  shell(script: string): string;
  /** Starts a pod that serves its own name on port 80, and waits until it does; gives its address on `name`. */
  serve(
    ...flags: readonly string[]
  ): Promise<{ readonly running: Running; readonly uuid: string; readonly ips: string[] }>;
  /** Runs a script in a pod to its end; gives the lines that it prints. */
  lines(script: string, flags: readonly string[], options?: StartOptions): Promise<string[]>;
}

const NEEDS: readonly Requirement[] = [
  'root',
  'busybox',
  'program:ip',
  'program:nft',
  'program:curl',
  'link:macvlan',
];

/** Declares a suite on hosts of its own, which `prepare` may change; after each test nothing of a pod may be left there. */
export function networkSuite(
  title: string,
  needs: readonly Requirement[],
  body: (the: NetworkSuite) => void,
  prepare: (host: TestHost) => void = () => undefined,
): void {
  suite(title, [...NEEDS, ...needs], (outer) => {
    describe('on a host of its own', () => {
      let hosts: { readonly host: TestHost; readonly neighbour: TestHost } | undefined;
      let clean: HostState | undefined;
      let image = '';
      const current = (): { readonly host: TestHost; readonly neighbour: TestHost } => {
        assert.ok(hosts !== undefined, 'the suite runs');
        return hosts;
      };
      before(function () {
        requires(this, 'program:nsenter');
        const kernel = openKernel();
        for (const directory of OWN_DIRECTORIES) {
          mkdirSync(directory, { recursive: true });
          kernel.mount('tmpfs', directory, 'tmpfs', 0, 'mode=755');
        }
        hosts = twoHosts();
        outer.rkt.netns = hosts.host.netns;
        image = writeImage(outer.rkt, serverImage());
        prepare(hosts.host);
        clean = hostState(hosts.host);
      });
      afterEach(async function () {
        if (hosts === undefined) return;
        await outer.rkt.sweep();
        removeBridges(hosts.host);
        assert.deepEqual(hostState(hosts.host), clean, 'something was left on the host');
      });
      after(() => {
        if (hosts === undefined) return;
        for (const { netns } of Object.values(hosts))
          execFileSync('ip', ['netns', 'delete', netns.slice('/run/netns/'.length)]);
        for (const directory of OWN_DIRECTORIES) openKernel().umount2(directory, MNT_DETACH);
      });
      let serial = 0;
      body({
        get rkt(): Rkt {
          return outer.rkt;
        },
        get host() {
          return current().host;
        },
        get neighbour() {
          return current().neighbour;
        },
        network: (file, content) => outer.rkt.configure('localConfig', `net.d/${file}`, content),
        shell: (script) => writeImage(outer.rkt, serverImage(script)),
        serve: async (...flags) => {
          const uuidFile = outer.rkt.tmp.join(`uuid-${(serial += 1)}`);
          const running = outer.rkt.start([INSECURE, 'run', `--uuid-file-save=${uuidFile}`, ...flags, image]);
          await running.waitFor(/serving/);
          const uuid = readFileSync(uuidFile, 'utf8');
          const networks = (await outer.rkt.status(uuid))['networks'] ?? '';
          return { running, uuid, ips: networks.split(', ').map((each) => each.split('=')[1] ?? '') };
        },
        lines: async (script, flags, options) => {
          const { output } = await outer.rkt.ok(
            [INSECURE, 'run', ...flags, image, '--exec', '/bin/sh', '--', '-c', script],
            options,
          );
          return appLines(output);
        },
      });
    });
  });
}

/** What the apps wrote, by the console's form of the journal. */
export function appLines(output: string): string[] {
  return output
    .split(/\r*\n/)
    .flatMap((line) => /^(?:\[[ 0-9.]+\] )?[a-z0-9-]+\[\d+\]: (.*)$/.exec(line)?.[1] ?? []);
}

const SERVE = `mkdir -p /www; hostname > /www/name; httpd -f -p [::]:80 -h /www &
until wget -q -O /dev/null http://127.0.0.1/name; do :; done; echo serving; wait`;

function serverImage(script: string = SERVE): ReturnType<typeof minimalImage> {
  return minimalImage({
    name: 'example.com/web',
    exec: ['/bin/sh', '-c', script],
    app: { ports: [{ name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false }] },
  });
}

function twoHosts(): { host: TestHost; neighbour: TestHost } {
  const [host, neighbour] = [new TestHost('host'), new TestHost('neighbour')];
  host.ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'uplink', 'netns', 'neighbour');
  for (const [machine, ip] of [
    [host, HOST_IP],
    [neighbour, NEIGHBOUR_IP],
  ] as const) {
    machine.ip('address', 'add', `${ip}/24`, 'dev', 'uplink');
    machine.ip('link', 'set', 'uplink', 'up');
  }
  return { host, neighbour };
}
