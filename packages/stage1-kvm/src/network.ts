// The network of a pod in a virtual machine (contract stage1 5.9). CNI plugins join a network namespace, as for any pod;
// then each device there is joined to one of the machine: every frame that comes in at one goes out at the other, and
// the guest takes over address and routes. So plugins of all kinds serve, and the names of taps end with qemu.
// Runs in the run entry point; qemu stays in the namespace.

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

import { createLogger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { CLONE_NEWNET } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { parseNetworkList } from '@rkt/networking/net-list';
import { filterTools } from '@rkt/networking/packet-filter';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { printNetInfo } from '@rkt/pod-layout/net-info';
import { netInfoFile } from '@rkt/pod-layout/pod-paths';
import { GUEST_NETWORK, onHost } from '@rkt/pod-layout/stage1-paths';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { writeNew } from '@rkt/stage1-base/write-new';
import { joinNetworks } from '@rkt/stage1-systemd/host/pod-networks';

import { KvmError } from './errors.ts';
import { type GuestDevice, guestScript, parseRoutes } from './guest-network.ts';

const FILE_MODE = 0o644;

/** A device of the machine. */
export interface MachineDevice {
  /** The open tap. */
  readonly fd: number;
  readonly mac: string;
}

/** The network of a pod that is being started. */
export interface PodNetwork {
  readonly addresses: readonly string[];
  readonly hostAddress?: string | undefined;
  /** Moves this thread into the pod's namespace, where it stays, and makes the devices. */
  attach(): Promise<MachineDevice[]>;
}

/** Sets the network up; this thread stays in the host's until `attach`. @throws RktError naming the network */
export async function setUpNetwork(
  kernel: Kernel,
  pod: LoadedPod,
  options: RunArguments,
  env: Readonly<Record<string, string | undefined>>,
): Promise<PodNetwork> {
  const logger = createLogger({ prefix: 'networking', debug: options.debug });
  const selection = parseNetworkList(options.net);
  if (selection.kind === 'host')
    throw new KvmError('unsupported', 'a virtual machine cannot have the network of the host', {
      hint: 'use --net=default or --net=none',
    });
  if (selection.kind === 'none') {
    writeNew(netInfoFile(pod.dir), printNetInfo([]), FILE_MODE);
    const attach = (): Promise<MachineDevice[]> => {
      kernel.unshare(CLONE_NEWNET);
      return Promise.resolve([]);
    };
    return { addresses: [], attach };
  }
  const { namespaceFd, networks, addresses, hostAddress } = await joinNetworks(kernel, pod, options, {
    selection,
    env,
    logger,
  });
  const attach = async (): Promise<MachineDevice[]> => {
    kernel.setns(namespaceFd, CLONE_NEWNET);
    const devices = networks.map(({ ifName }) => readDevice(ifName));
    writeNew(onHost(pod.stage1, GUEST_NETWORK), guestScript(devices), FILE_MODE);
    const taps = devices.map(({ name, mac }) => ({ fd: kernel.openTap(tapOf(name)), mac }));
    // The guest speaks for the address from here on.
    await filterTools('nft', pod.dir, env).run(
      'nft',
      ['-f', '-'],
      joiningRules(networks.map(({ ifName }) => ifName)),
    );
    return taps;
  };
  return { addresses, hostAddress, attach };
}

const tapOf = (device: string): string => `tap-${device}`;

function joiningRules(devices: readonly string[]): string {
  const chain = (from: string, to: string): string =>
    `chain ${from} {\ntype filter hook ingress device "${from}" priority 0\nfwd to "${to}"\n}\n`;
  const chains = devices.map((device) => chain(device, tapOf(device)) + chain(tapOf(device), device));
  return `table netdev rkt {\n${chains.join('')}}\n`;
}

function readDevice(name: string): GuestDevice {
  const found = networkInterfaces()[name] ?? [];
  const mac = found[0]?.mac;
  if (mac === undefined) throw new KvmError('unsupported', `network device ${name} has no address`);
  const addresses = found.flatMap(({ cidr, scopeid }) => (cidr === null || scopeid ? [] : [cidr]));
  return {
    name,
    mac,
    mtu: Number(readOr(`/proc/sys/net/ipv6/conf/${name}/mtu`, '1500')),
    addresses,
    routes: parseRoutes(name, {
      ipv4: readOr('/proc/thread-self/net/route', ''),
      ipv6: readOr('/proc/thread-self/net/ipv6_route', ''),
    }),
  };
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return otherwise;
    throw error;
  }
}
