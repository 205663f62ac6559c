// The ip_tables rules of a pod's forwarded ports, as text for iptables-restore(8) (contract stage1 5.5). Pure.

import { NetworkError } from './errors.ts';
import { chainNames, type ForwardedPort } from './forwarded-port.ts';
import type { PodAddress } from './result.ts';

/** The rules of ip_tables, which has IPv4 here. @throws NetworkError `filter-failed` for an address of IPv6 */
export function legacyRules(
  uuid: string,
  ports: readonly ForwardedPort[],
  addresses: readonly PodAddress[],
): string {
  const { dnat, snat, guard } = chainNames(uuid);
  const pod = addresses.find(({ family }) => family === 4);
  if (pod === undefined || ports.some(({ hostIp }) => hostIp?.includes(':'))) {
    throw new NetworkError('filter-failed', 'ports of IPv6 are forwarded by nf_tables only', {
      hint: 'the host uses ip_tables: see its tables in /proc/net/ip_tables_names',
    });
  }
  return [
    '*nat',
    `:${dnat} - [0:0]`,
    `:${snat} - [0:0]`,
    `-I POSTROUTING 1 -s 127.0.0.1 ! -d 127.0.0.1 -j ${snat}`,
    `-I POSTROUTING 1 -s ${pod.ip}/${pod.prefix} -d ${pod.ip} -m conntrack --ctstate DNAT -j ${snat}`,
    `-I PREROUTING 1 -m addrtype --dst-type LOCAL -j ${dnat}`,
    `-I OUTPUT 1 -m addrtype --dst-type LOCAL -j ${dnat}`,
    ...ports.map(
      ({ protocol, hostIp, hostPort, podPort }) =>
        `-A ${dnat} -d ${hostIp ?? '0.0.0.0/0'} -p ${protocol} --dport ${hostPort} -j DNAT --to-destination ${pod.ip}:${podPort}`,
    ),
    ...ports.map(
      ({ protocol, podPort }) => `-A ${snat} -p ${protocol} -d ${pod.ip} --dport ${podPort} -j MASQUERADE`,
    ),
    'COMMIT',
    // route_localnet would also let the pod's side reach what listens on 127.0.0.1.
    '*raw',
    `:${guard} - [0:0]`,
    `-A ${guard} -d 127.0.0.0/8 -j DROP`,
    `-I PREROUTING 1 ! -i lo -j ${guard}`,
    'COMMIT',
    '',
  ].join('\n');
}
