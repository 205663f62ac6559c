// Which ports of the host lead to which ports of a pod, and the names of the rules that make it so (contract stage1 5.5).
// Pure.

import { quote } from '@rkt/diagnostics/quote';
import type { PortMapping } from '@rkt/spec/port-mapping';

import { NetworkError } from './errors.ts';

/** One forwarded port. */
export interface ForwardedPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** Address of the host to answer on; every one when absent. */
  readonly hostIp?: string;
  readonly hostPort: number;
  readonly podPort: number;
}

/** The ports of a pod's mappings. @throws NetworkError `bad-network-config` for a protocol without ports */
export function forwardedPorts(mappings: readonly PortMapping[]): ForwardedPort[] {
  return mappings.map(({ exposed, port }) => {
    const protocol = port.protocol === '' ? 'tcp' : port.protocol.toLowerCase();
    if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') {
      throw new NetworkError(
        'bad-network-config',
        `port ${quote(exposed.name)}: protocol ${quote(port.protocol)} cannot be forwarded`,
        { hint: 'tcp, udp and sctp can' },
      );
    }
    const hostIp = exposed.hostIP;
    return {
      protocol,
      hostPort: exposed.hostPort,
      podPort: port.port,
      ...(hostIp === undefined || hostIp === '' ? {} : { hostIp }),
    };
  });
}

/** Names of the pod's chains (contract stage1 5.5). */
export function chainNames(uuid: string): {
  readonly dnat: string;
  readonly snat: string;
  readonly guard: string;
} {
  const short = uuid.slice(0, 8);
  return { dnat: `RKT-PFWD-DNAT-${short}`, snat: `RKT-PFWD-SNAT-${short}`, guard: `RKT-PFWD-GUARD-${short}` };
}
