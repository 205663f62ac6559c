// NAME.socket: the ports of an app that are activated by sockets (contract 2.8 b). Whoever started rkt may have made
// the sockets already: systemd inside finds them by their address, and makes those it was not given. Pure.

import type { BoundAddress } from '@rkt/stage1-base/bound-addresses';
import type { LoadedApp } from '@rkt/stage1-base/pod';
import type { PodManifest } from '@rkt/spec/pod-manifest';
import { option, type UnitOption } from 'systemd-unit-parser/unit';

import { SystemdError } from '../errors.ts';

const LISTEN: Readonly<Record<string, string>> = { tcp: 'ListenStream', udp: 'ListenDatagram' };

/** File name of the unit. */
export const socketUnitName = (app: string): string => `${app}.socket`;

/** Whether the app has such ports. */
export function hasSockets({ app }: Pick<LoadedApp, 'app'>): boolean {
  return (app.ports ?? []).some(({ socketActivated }) => socketActivated);
}

/** Where sockets come from and where the pod has its ports. */
export interface SocketOrigin {
  /** Sockets that rkt was started with: of those of a port all are named, each by its whole address. */
  readonly given: readonly BoundAddress[];
  /** Whether the pod has the network of the host: there are no forwarded ports then. */
  readonly hostNetwork: boolean;
}

/** Directives of the unit. @throws SystemdError `unsupported` for protocols other than tcp and udp */
export function socketUnit(
  { name, image, app }: LoadedApp,
  { ports: exposed = [] }: Pick<PodManifest, 'ports'>,
  { given, hostNetwork }: SocketOrigin,
  warn: (line: string) => void,
): UnitOption[] {
  const description = `Application=${name} Image=${image.name} socket-activated ports`;
  return [
    option('Unit', 'Description', description.replaceAll('%', '%%')),
    option('Unit', 'DefaultDependencies', 'false'),
    option('Socket', 'BindIPv6Only', 'both'),
    option('Socket', 'Service', `${name}.service`),
    ...(app.ports ?? [])
      .filter(({ socketActivated }) => socketActivated)
      .flatMap((port) => {
        const directive = Object.hasOwn(LISTEN, port.protocol) ? LISTEN[port.protocol] : undefined;
        if (directive === undefined) {
          throw new SystemdError('unsupported', `unrecognized protocol: ${port.protocol}`);
        }
        const mapped = exposed.find((each) => each.name === port.name);
        if (mapped === undefined) {
          warn(
            `warning: no --port option for socket-activated port "${port.name}", assuming port ${port.port} as specified in the manifest`,
          );
        }
        const inPod = mapped?.podPort?.port ?? port.port;
        // A socket that was made on the host has the host's port.
        const onHost = mapped?.hostPort ?? port.port;
        const own = given.filter((each) => each.protocol === port.protocol && each.port === onHost);
        const addresses = own.map(({ address }) =>
          address === undefined ? String(onHost) : `${address}:${onHost}`,
        );
        // One that systemd makes in the pod is where connections to the host's port are forwarded to.
        if (own.length === 0) addresses.push(String(hostNetwork ? onHost : inPod));
        return addresses.map((address) => option('Socket', directive, address));
      }),
  ];
}

/**
 * Hands sockets to their units. systemd does that once, when it starts, with the units that it knows by then: those that
 * its mounts name, which is this target. It is never started.
 */
export const EARLY_TARGET = 'local-fs.target';

/** The unit {@link EARLY_TARGET} of a pod with these apps. */
export function earlyTarget(apps: readonly string[]): UnitOption[] {
  return [
    option('Unit', 'DefaultDependencies', 'false'),
    ...apps.map((app) => option('Unit', 'Requires', socketUnitName(app))),
  ];
}
