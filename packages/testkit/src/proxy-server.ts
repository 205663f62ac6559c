// A proxy on loopback that knows where names lead, as a real one does: CONNECT and plain requests (contract stage0
// 1.11). Runs inside the test process.

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** How the proxy behaves. */
export interface ProxyOptions {
  /** Where names lead, as `host:port`; others are refused with 502. */
  readonly routes: Readonly<Record<string, number>>;
  /** Required Proxy-Authorization header; others get 407. */
  readonly authorization?: string;
}

/** A running proxy. */
export interface ProxyServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` without a final slash. */
  readonly url: string;
  /** Targets that were asked for: `CONNECT host:port` or `GET http://...`. */
  readonly requests: readonly string[];
}

/** Starts a proxy on a free port of 127.0.0.1. */
export async function startProxyServer({ routes, authorization }: ProxyOptions): Promise<ProxyServer> {
  const requests: string[] = [];
  const isWelcome = ({ headers }: IncomingMessage): boolean =>
    authorization === undefined || headers['proxy-authorization'] === authorization;

  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    const url = new URL(incoming.url ?? '');
    const port = routes[`${url.hostname}:${url.port || 80}`];
    const status = isWelcome(incoming) ? 502 : 407;
    if (status === 407 || port === undefined) return outgoing.writeHead(status).end();
    const { method = 'GET', headers } = incoming;
    const path = `${url.pathname}${url.search}`;
    return request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(outgoing);
    }).end();
  });
  // The server does not count connections that became tunnels.
  const tunnels = new Set<Socket>();
  server.on('connect', (incoming: IncomingMessage, client: Socket, head: Buffer) => {
    requests.push(`CONNECT ${incoming.url}`);
    tunnels.add(client);
    client.on('close', () => tunnels.delete(client));
    client.on('error', () => undefined);
    const port = routes[incoming.url ?? ''];
    if (!isWelcome(incoming)) return client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    if (port === undefined) return client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    return target.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const tunnel of tunnels) tunnel.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
