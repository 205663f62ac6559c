// Which host port leads to which app port (contract stage0 8.4.1, 11.8). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { sameName } from './ac-identifier.ts';
import { refuse } from './errors.ts';
import type { ExposedPort, Port } from './port.ts';

/** A host port and the app port behind it. */
export interface PortMapping {
  readonly exposed: ExposedPort;
  readonly port: Port;
}

const ANY_ADDRESS = '0.0.0.0';

/**
 * Pairs each exposed port with the one app port of its name.
 *
 * @param appPorts The ports of each app of the pod.
 * @throws SpecError when a name fits no app or several, or two mappings want the same host port.
 */
export function mapPorts(
  exposed: readonly ExposedPort[],
  appPorts: readonly (readonly Port[] | undefined)[],
): PortMapping[] {
  const mappings: PortMapping[] = [];
  for (const one of exposed) {
    const port = one.podPort ?? portNamed(one.name, appPorts);
    const taken = mappings.find(
      (other) =>
        other.exposed.hostPort === one.hostPort &&
        other.port.protocol === port.protocol &&
        overlap(addressOf(other.exposed), addressOf(one)),
    );
    if (taken !== undefined) {
      const place = `${port.protocol}-${addressOf(taken.exposed)}:${one.hostPort}`;
      refuse(`port ${place} already mapped to pod port ${taken.port.port}`);
    }
    mappings.push({ exposed: one, port });
  }
  return mappings;
}

function addressOf({ hostIP }: ExposedPort): string {
  return hostIP ?? ANY_ADDRESS;
}

function portNamed(name: string, appPorts: readonly (readonly Port[] | undefined)[]): Port {
  const found = appPorts.flatMap((ports) => ports?.filter((port) => sameName(port.name, name)) ?? []);
  const [port] = found;
  if (port === undefined) refuse(`port name ${quote(name)} could not be found in any apps`);
  return found.length > 1 ? refuse(`port name ${quote(name)} defined multiple apps`) : port;
}

function overlap(a: string, b: string): boolean {
  const everywhere = (address: string): boolean => address === ANY_ADDRESS || /^[0:]+$/.test(address);
  return a.toLowerCase() === b.toLowerCase() || everywhere(a) || everywhere(b);
}
