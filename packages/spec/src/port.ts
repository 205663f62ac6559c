// Ports of apps, ports the pod exposes, and the --port flag (contract stage0 3.3, 3.4, 8.3).
// Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { AcName, parseAcName } from './ac-name.ts';
import { defaulted, flag, given, integer, optional, required, scalar, struct, text } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse, SpecError } from './errors.ts';
import { isIpAddress } from './ip-address.ts';

/** A port (or `count` ports in a row) that an app listens on. */
export interface Port {
  readonly name: AcName;
  readonly protocol: string;
  readonly port: number;
  readonly count: number;
  readonly socketActivated: boolean;
}

/** A port of the host that leads to the app port of the same name. */
export interface ExposedPort {
  readonly name: AcName;
  readonly hostPort: number;
  /** Address of the host to listen on; all of them when absent. */
  readonly hostIP?: string;
  readonly podPort?: Port;
}

const LAST_PORT = 65535;
const OUT_OF_RANGE = 'port must be in 1-65535 range';

export const Port: Codec<Port> = struct<Port>(
  'Port',
  {
    name: required(AcName, 'port name must be set'),
    protocol: defaulted(text, ''),
    port: required(integer(1, LAST_PORT, OUT_OF_RANGE), OUT_OF_RANGE),
    count: defaulted(integer(0, LAST_PORT), 1),
    socketActivated: defaulted(flag, false),
  },
  (port) => {
    const count = Math.max(port.count, 1);
    if (port.port + count > LAST_PORT + 1) refuse('end of port range must be in 1-65535 range');
    return { ...port, count };
  },
);

const IpAddress = scalar('IP', (ip) => (isIpAddress(ip) ? ip : refuse(`${quote(ip)} is not a valid IP`)));

export const ExposedPort: Codec<ExposedPort> = struct<ExposedPort>('ExposedPort', {
  name: required(AcName, 'port name must be set'),
  hostPort: defaulted(integer(0, LAST_PORT), 0),
  hostIP: optional(IpAddress),
  podPort: given(Port),
});

/** The value of a --port flag, `NAME:[HOSTIP:]HOSTPORT`. @throws SpecError `bad-flag` */
export function parsePortFlag(value: string): ExposedPort {
  const first = value.indexOf(':');
  const last = value.lastIndexOf(':');
  if (first === -1) throw badFlag(`${quote(value)} is not in name:[ip:]port format`);
  const name = value.slice(0, first);
  const hostPort = value.slice(last + 1);
  if (!isName(name)) throw badFlag(`${quote(name)} is not a valid port name`);
  if (!/^\d{1,5}$/.test(hostPort) || Number(hostPort) > LAST_PORT) {
    throw badFlag(`${quote(hostPort)} is not a valid port number`);
  }
  if (first === last) return { name, hostPort: Number(hostPort) };
  const hostIP = value.slice(first + 1, last);
  if (!isIpAddress(hostIP)) throw badFlag(`${quote(hostIP)} is not a valid IP`);
  return { name, hostPort: Number(hostPort), hostIP };
}

function isName(name: string): boolean {
  try {
    return parseAcName(name) === name;
  } catch {
    return false;
  }
}

function badFlag(message: string): SpecError {
  return new SpecError('bad-flag', message);
}

/**
 * The value of a --port flag of a sandbox, `NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT`: no app says what NAME is (contract
 * stage0 8.20). @throws SpecError `bad-flag`
 */
export function parseSandboxPortFlag(value: string): ExposedPort {
  const match = /^([^:]*):([^:]*):(\d+):(.*):(\d+)$/.exec(value);
  const refused = (reason: string): SpecError =>
    new SpecError('bad-flag', `invalid value in --port flag ${quote(value)}: ${reason}`);
  if (match === null) throw refused('expected NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT');
  const [, name = '', protocol = '', podPort = '', hostIP = '', hostPort = ''] = match;
  if (protocol !== 'tcp' && protocol !== 'udp') throw refused(`invalid protocol ${quote(protocol)}`);
  if (hostIP !== '' && !isIpAddress(hostIP)) throw refused(`${quote(hostIP)} is not a valid IP`);
  if ([podPort, hostPort].some((port) => Number(port) < 1 || Number(port) > LAST_PORT))
    throw refused(OUT_OF_RANGE);
  return {
    name: parseAcName(name),
    hostPort: Number(hostPort),
    ...(hostIP === '' ? {} : { hostIP }),
    podPort: { name: parseAcName(name), protocol, port: Number(podPort), count: 1, socketActivated: false },
  };
}
