// Where the service listens: sockets that systemd passes (sd_listen_fds(3)), or an address (contract stage1 7.1). Runs
// in stage0.

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer, isIP, type ListenOptions, type Server, type Socket } from 'node:net';

import { ApiError } from './errors.ts';

/** Where the service listens unless it is told otherwise. */
export const DEFAULT_LISTEN = 'localhost:15441';

/** First descriptor that systemd passes (SD_LISTEN_FDS_START). */
const FIRST_FD = 3;
/** A client needs one; more would only hold memory. */
const MAX_CONNECTIONS = 256;

/** Takes a connection. */
export type Accept = (socket: Socket) => void;

/** Sockets that are being served. */
export interface Listening {
  readonly servers: readonly Server[];
  /** What the user is told, behind `Listening on `. */
  readonly where: string;
}

/** How many sockets systemd passed to the process `pid`. */
export function passedSockets(env: Readonly<Record<string, string>>, pid: number): number {
  const count = env['LISTEN_FDS'] ?? '';
  return env['LISTEN_PID'] === String(pid) && /^\d{1,4}$/.test(count) ? Number(count) : 0;
}

/** Serves on `count` passed sockets. @throws Error of the system */
export async function listenOnPassed(count: number, accept: Accept): Promise<Listening> {
  const addresses = Array.from({ length: count }, (_, index) => ({ fd: FIRST_FD + index }));
  return { servers: await listenOnAll(addresses, accept), where: `${count} systemd-provided socket(s)` };
}

/** Serves on `HOST:PORT`; without a host, on all addresses. @throws ApiError `socket`, Error of the system */
export async function listenOn(address: string, accept: Accept): Promise<Listening> {
  const { host, port } = parseAddress(address);
  const place = { port, ...(host === '' ? {} : { host: await addressOf(host) }) };
  const servers = await listenOnAll([place], accept);
  const bound = (servers[0]?.address() as AddressInfo | null)?.port ?? port;
  return { servers, where: port === 0 ? address.replace(/0$/, String(bound)) : address };
}

/** The parts of `HOST:PORT`, `[IPV6]:PORT` or `:PORT`. @throws ApiError `socket` */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ApiError('socket', `${address} is no address`, {
      hint: 'write HOST:PORT, [IPV6]:PORT or :PORT',
    });
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

// What localhost means to everybody: clients of the original dial IPv4.
async function addressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host, { order: 'ipv4first' })).address : host;
}

type Place = ListenOptions | { readonly fd: number };

async function listenOnAll(places: readonly Place[], accept: Accept): Promise<Server[]> {
  const servers: Server[] = [];
  try {
    for (const place of places) {
      const server = createServer({ noDelay: true }, accept);
      server.maxConnections = MAX_CONNECTIONS;
      servers.push(server);
      const listening = once(server, 'listening');
      server.listen(place);
      await listening;
    }
    return servers;
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}
