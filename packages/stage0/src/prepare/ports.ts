// Whether the ports a pod forwards exist and do not collide (contract stage0 8.4.1, 11.8). Pure. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import type { PodManifest } from '@rkt/spec/pod-manifest';
import type { Port } from '@rkt/spec/port';

import { PrepareError } from './errors.ts';

const ANY_IP = '0.0.0.0';

/** @throws PrepareError `bad-port` for a name no app or several apps declare, and for a host port used twice. */
export function checkPorts(manifest: PodManifest, appPorts: (appName: string) => readonly Port[]): void {
  const taken: { protocol: string; ip: string; hostPort: number; podPort: number }[] = [];
  for (const exposed of manifest.ports ?? []) {
    const { protocol, port: podPort } = exposed.podPort ?? findPort(exposed.name, manifest, appPorts);
    const ip = exposed.hostIP === undefined || exposed.hostIP === '' ? ANY_IP : exposed.hostIP;
    const { hostPort } = exposed;
    const clash = taken.find(
      (other) =>
        other.protocol === protocol &&
        other.hostPort === hostPort &&
        (other.ip === ip || other.ip === ANY_IP || ip === ANY_IP),
    );
    if (clash !== undefined) {
      throw new PrepareError(
        'bad-port',
        `port ${protocol}-${clash.ip}:${hostPort} already mapped to pod port ${clash.podPort}`,
      );
    }
    taken.push({ protocol, ip, hostPort, podPort });
  }
}

function findPort(name: string, manifest: PodManifest, appPorts: (appName: string) => readonly Port[]): Port {
  const found = manifest.apps.flatMap((app) => appPorts(app.name).filter((port) => port.name === name));
  const [first] = found;
  if (first === undefined)
    throw new PrepareError('bad-port', `port name ${quote(name)} could not be found in any apps`);
  if (found.length > 1) throw new PrepareError('bad-port', `port name ${quote(name)} defined multiple apps`);
  return first;
}
