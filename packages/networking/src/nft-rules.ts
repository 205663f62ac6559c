// The nf_tables rules of a pod's forwarded ports, as text for nft(8) (contract stage1 5.5). Pure.

import { NetworkError } from './errors.ts';
import { chainNames, type ForwardedPort } from './forwarded-port.ts';
import type { PodAddress } from './result.ts';

const FAMILIES = [
  { family: 4, table: 'ip', protocol: 'ip', any: '0.0.0.0' },
  { family: 6, table: 'ip6', protocol: 'ip6', any: '::' },
] as const;

type Family = (typeof FAMILIES)[number];

/** The pod's table; the whole UUID, so that no other pod can have it. */
export const tableName = (uuid: string): string => `RKT-PFWD-${uuid}`;

/** What removes a pod's tables, whether they are there or not. */
export function nftRemoval(uuid: string): string {
  return FAMILIES.map(
    ({ table }) => `add table ${table} ${tableName(uuid)}\ndelete table ${table} ${tableName(uuid)}\n`,
  ).join('');
}

/** What makes a pod's tables, in one transaction. @throws NetworkError `filter-failed` when a port leads nowhere */
export function nftRules(
  uuid: string,
  ports: readonly ForwardedPort[],
  addresses: readonly PodAddress[],
): string {
  const lost = ports.find((port) => !FAMILIES.some((family) => isOf(family, port, addresses)));
  if (lost !== undefined) {
    const where = lost.hostIp ?? 'any address';
    throw new NetworkError(
      'filter-failed',
      `port ${lost.hostPort} of ${where} cannot be forwarded: the pod has no address of that family`,
    );
  }
  const tables = FAMILIES.map((family) => {
    const pod = addresses.find((address) => address.family === family.family);
    const own = ports.filter((port) => isOf(family, port, addresses));
    return pod === undefined || own.length === 0 ? '' : tableText(uuid, family, own, pod);
  });
  return `${nftRemoval(uuid)}${tables.join('')}`;
}

function isOf({ family }: Family, { hostIp }: ForwardedPort, addresses: readonly PodAddress[]): boolean {
  if (!addresses.some((address) => address.family === family)) return false;
  return hostIp === undefined || hostIp.includes(':') === (family === 6);
}

function tableText(
  uuid: string,
  { family, table, protocol, any }: Family,
  ports: readonly ForwardedPort[],
  pod: PodAddress,
): string {
  const { dnat, snat } = chainNames(uuid);
  const to = (port: number): string => (family === 4 ? `${pod.ip}:${port}` : `[${pod.ip}]:${port}`);
  const at = ({ hostIp = any }: ForwardedPort): string =>
    hostIp === any ? '' : `${protocol} daddr ${hostIp} `;
  const local = family === 4;
  const lines = [
    `table ${table} ${tableName(uuid)} {`,
    `chain ${dnat} {`,
    ...ports.map((port) => `${at(port)}${port.protocol} dport ${port.hostPort} dnat to ${to(port.podPort)}`),
    '}',
    // Answers must come back this way: to the host's own connections, and to neighbours on the pod's network.
    `chain ${snat} {`,
    ...ports.map((port) => `${port.protocol} dport ${port.podPort} masquerade`),
    '}',
    'chain prerouting {',
    'type nat hook prerouting priority -100;',
    `fib daddr type local jump ${dnat}`,
    '}',
    'chain output {',
    'type nat hook output priority -100;',
    `fib daddr type local jump ${dnat}`,
    '}',
    'chain postrouting {',
    'type nat hook postrouting priority 100;',
    ...(local ? [`ip saddr 127.0.0.0/8 ip daddr ${pod.ip} jump ${snat}`] : []),
    `${protocol} saddr ${pod.ip}/${pod.prefix} ${protocol} daddr ${pod.ip} ct status dnat jump ${snat}`,
    '}',
    // route_localnet would also let the pod's side reach what listens on 127.0.0.1.
    ...(local
      ? [
          'chain guard {',
          'type filter hook prerouting priority -300;',
          'iifname != "lo" ip daddr 127.0.0.0/8 drop',
          '}',
        ]
      : []),
    '}',
    '',
  ];
  return lines.join('\n');
}
