// Networks of type flannel: the address range comes from the flannel daemon's file, the work is done by a delegate,
// bridge unless another is named (contract stage1 5.4). The plugin itself is no longer among the well-kept ones, and all
// it does is to write the delegate's configuration. Runs in the run entry point, on the host.

import { readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { isIpAddress } from '@rkt/spec/ip-address';

import { fieldOf, type JsonObject, objectField, textField } from './any-case.ts';
import type { NetworkConfig, PluginConfig } from './config.ts';
import { during, NetworkError } from './errors.ts';

const SUBNET_FILE = '/run/flannel/subnet.env';

/** The configuration of the plugin that does the work. @throws NetworkError `bad-network-config` */
export function flannelDelegate({ name, cniVersion, plugins: [plugin] }: NetworkConfig): PluginConfig {
  const config = plugin?.config ?? {};
  const file = textField(config, 'subnetFile') || SUBNET_FILE;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw during(`cannot read the subnet of flannel network ${quote(name)}`, cause);
  }
  const given = objectField(config, 'delegate') ?? {};
  const delegate = delegateOf(given, parseSubnetFile(text, file), name);
  return { type: textField(delegate, 'type'), config: { cniVersion, ...delegate } };
}

/** What the daemon writes. */
export interface FlannelSubnet {
  readonly network: string;
  readonly subnet: string;
  readonly mtu: number;
  /** The daemon hides the pods itself. */
  readonly ipMasq: boolean;
}

/** Reads `FLANNEL_*=VALUE` lines. @throws NetworkError `bad-network-config` when one is missing */
export function parseSubnetFile(text: string, file: string): FlannelSubnet {
  const values = new Map(
    text.split('\n').map((line): [string, string] => {
      const [key = '', ...rest] = line.split('=');
      return [key.trim(), rest.join('=').trim()];
    }),
  );
  const value = (key: string): string => {
    const found = values.get(key) ?? '';
    if (found === '') throw new NetworkError('bad-network-config', `${file} has no ${key}`);
    return found;
  };
  const mtu = Number(value('FLANNEL_MTU'));
  if (!Number.isInteger(mtu) || mtu <= 0) {
    throw new NetworkError('bad-network-config', `${file}: FLANNEL_MTU is not a number`);
  }
  return {
    network: value('FLANNEL_NETWORK'),
    subnet: networkOf(value('FLANNEL_SUBNET')),
    mtu,
    ipMasq: value('FLANNEL_IPMASQ') === 'true',
  };
}

// The daemon writes the host's own address in it, and host-local wants the network's.
function networkOf(cidr: string): string {
  const [ip = '', length = ''] = cidr.split('/');
  const bits = 32 - Number(length);
  if (!isIpAddress(ip) || ip.includes(':') || !(bits >= 0 && bits <= 32)) return cidr;
  const number = ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const network = Math.floor(number / 2 ** bits) * 2 ** bits;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join('.')}/${length}`;
}

/** What is given stays, the rest follows from the daemon's file. */
export function delegateOf(given: JsonObject, subnet: FlannelSubnet, name: string): JsonObject {
  const type = textField(given, 'type') || 'bridge';
  const unless = (key: string, value: unknown): JsonObject =>
    fieldOf(given, key) === undefined ? { [key]: value } : {};
  return {
    ...given,
    name,
    type,
    ...unless('ipMasq', !subnet.ipMasq),
    ...unless('mtu', subnet.mtu),
    ...(type === 'bridge' ? unless('isGateway', true) : {}),
    ipam: { type: 'host-local', subnet: subnet.subnet, routes: [{ dst: subnet.network }] },
  };
}
