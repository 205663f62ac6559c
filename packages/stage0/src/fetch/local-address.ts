// Where redirects may not lead: a server on the network must not make rkt ask what only this machine can reach, such
// as a cloud's metadata service. Pure; runs in stage0.

import { BlockList, isIP } from 'node:net';

/** How near an address is: this machine, its link (where metadata services are), or anywhere else. */
export type Nearness = 'loopback' | 'link-local' | 'network';

function networks(...subnets: readonly (readonly [network: string, bits: number])[]): BlockList {
  const list = new BlockList();
  for (const [network, bits] of subnets) {
    list.addSubnet(network, bits, isIP(network) === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** @param host An address, a name, or an address of IPv6 in brackets. Names but localhost count as network. */
export function nearness(host: string): Nearness {
  const address = host.replace(/^\[|\]$/g, '');
  if (address === 'localhost' || address.endsWith('.localhost')) return 'loopback';
  const family = isIP(address);
  if (family === 0) return 'network';
  const isIn = (list: BlockList): boolean => list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  // Linux takes 0.0.0.0 and :: for this machine. BlockList knows IPv4 addresses inside IPv6 by itself.
  if (isIn(networks(['127.0.0.0', 8], ['0.0.0.0', 8], ['::1', 128], ['::', 128]))) return 'loopback';
  return isIn(networks(['169.254.0.0', 16], ['fe80::', 10])) ? 'link-local' : 'network';
}

/** Whether a server that is `from` here may redirect to one that is `to`. */
export function mayRedirect(from: Nearness, to: Nearness): boolean {
  return to === 'network' || from === 'loopback' || from === to;
}
