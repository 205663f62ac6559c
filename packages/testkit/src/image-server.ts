// An image server on loopback that behaves well or badly on request (contract stage0 4.6, 4.7, 10.8). Runs inside the
// test process, so the client under test must be another process or use asynchronous calls.

import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';

import { makeAuthority, type ServerIdentity } from './authority.ts';

/** One thing a server offers. */
export interface Resource {
  readonly body?: string | Uint8Array;
  /** 200 by default. */
  readonly status?: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Written as it is; a request with the same If-None-Match gets 304. */
  readonly etag?: string;
  /** Seconds for `Cache-Control: max-age`; text becomes the whole header. */
  readonly cacheControl?: number | string;
  /** Literal Last-Modified header. */
  readonly lastModified?: string;
  /**
   * What a Range request gets: `partial` 206 and the rest, `ok` the rest with 200 (as a server rkt was tested with
   * does), `whole` everything with 200 and no Accept-Ranges.
   */
  readonly ranges?: 'partial' | 'ok' | 'whole';
  /** Answer HEAD with 405, as a server that knows GET only. */
  readonly noHead?: boolean;
  /** Required Authorization header; others get 401. */
  readonly authorization?: string;
  /** Answer 302 (or `status`) to this address. */
  readonly redirect?: string;
  /** Answer 202 this many times first; with a path, until that path has been requested. */
  readonly defer?: number | string;
  /** Required Cookie header; others get 403. */
  readonly cookie?: string;
  /** Set-Cookie headers of every answer, redirects too. */
  readonly setCookie?: readonly string[];
  /** Written to the connection instead of any answer of HTTP's, which then ends. */
  readonly raw?: string | Uint8Array;
  /** Never answer. */
  readonly silent?: boolean;
  /** Promise the whole body and say nothing more after this many bytes. */
  readonly stallAfter?: number;
  /** Send the body again and again, without an end. */
  readonly endless?: boolean;
  /** Promise the whole body and break the connection after this many bytes. */
  readonly cutAfter?: number;
  /** Leave Content-Length out. */
  readonly chunked?: boolean;
  /** Wait before the answer. */
  readonly delayMs?: number;
  /** Send the body at this pace; the connection may end before the body does. */
  readonly bytesPerSecond?: number;
}

/** What was asked. */
export interface SeenRequest {
  readonly method: string;
  /** Host header without the port. */
  readonly host: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly status: number;
}

/** A running server. */
export interface ImageServer extends AsyncDisposable {
  /** `http://ADDRESS:PORT` or with https, without a final slash. */
  readonly url: string;
  readonly port: number;
  /** All requests so far, in order of their answers. */
  readonly requests: readonly SeenRequest[];
  /** The certificate in PEM form, for servers with TLS. */
  readonly certificate: string | undefined;
  /**
   * Offers `resource` at `path` (with its leading slash), instead of what was there. `//host/path` is for requests to
   * that host only. Returns its address.
   */
  serve(path: string, resource: Resource): string;
  /** Requests of one path. */
  requestsOf(path: string): SeenRequest[];
  close(): Promise<void>;
}

/** Where a server listens, and as whom. */
export interface ImageServerOptions {
  /** True: with a fresh self-signed certificate for localhost. Needs openssl(1). */
  readonly tls?: boolean | (ServerIdentity & Pick<TlsOptions, 'maxVersion' | 'minVersion' | 'ciphers'>);
  /** An address of loopback; 127.0.0.1 by default. */
  readonly address?: string;
  /** A free one by default. */
  readonly port?: number;
}

/** Starts a server. */
export async function startImageServer({
  tls = false,
  address = '127.0.0.1',
  port: wantedPort = 0,
}: ImageServerOptions = {}): Promise<ImageServer> {
  const resources = new Map<string, Resource>();
  const requests: SeenRequest[] = [];
  const deferrals = new Map<string, number>();
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const path = (request.url ?? '/').replace(/\?.*/s, '');
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    const resource = resources.get(`//${host}${path}`) ??
      resources.get(path) ?? { status: 404, body: 'not found\n' };
    const status = (): number =>
      answer(request, response, resource, isDeferred(path, resource, deferrals, requests));
    const record = (): void => {
      requests.push({
        method: request.method ?? '',
        host,
        url: request.url ?? '',
        headers: request.headers,
        status: status(),
      });
    };
    if (resource.delayMs === undefined) record();
    else setTimeout(record, resource.delayMs).unref();
  };
  const identity = tls === true ? selfSigned() : tls === false ? undefined : tls;
  const server: Server = identity === undefined ? createServer(handler) : createTlsServer(identity, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(wantedPort, address, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `${identity === undefined ? 'http' : 'https'}://${address}:${port}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    url,
    port,
    requests,
    certificate: identity?.cert,
    serve: (path, resource) => {
      resources.set(path, resource);
      return `${url}${path.replace(/^\/\/[^/]*/, '')}`;
    },
    requestsOf: (path) => requests.filter((seen) => seen.url === path || seen.url.startsWith(`${path}?`)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isDeferred(
  path: string,
  { defer }: Resource,
  deferrals: Map<string, number>,
  requests: readonly SeenRequest[],
): boolean {
  if (defer === undefined) return false;
  if (typeof defer === 'string') return !requests.some(({ url }) => url === defer);
  const count = deferrals.get(path) ?? 0;
  deferrals.set(path, count + 1);
  return count < defer;
}

// Answers and gives back the status it answered with.
function answer(
  request: IncomingMessage,
  response: ServerResponse,
  resource: Resource,
  deferred: boolean,
): number {
  const { authorization, cookie, redirect, etag, noHead = false } = resource;
  const end = (status: number, headers: Record<string, string> = {}): number => {
    response.writeHead(status, headers);
    response.end();
    return status;
  };
  if (resource.raw !== undefined) {
    request.socket.end(resource.raw);
    return 0;
  }
  if (resource.silent === true) return 0;
  if (resource.setCookie !== undefined) response.setHeader('Set-Cookie', resource.setCookie);
  if (request.method !== 'GET' && (request.method !== 'HEAD' || noHead)) return end(405);
  if (authorization !== undefined && request.headers.authorization !== authorization) return end(401);
  if (cookie !== undefined && request.headers.cookie !== cookie) return end(403);
  if (deferred) return end(202);
  if (redirect !== undefined) return end(resource.status ?? 302, { Location: redirect });
  if (etag !== undefined && request.headers['if-none-match'] === etag) return end(304, { ETag: etag });
  return sendBody(request, response, resource);
}

function sendBody(request: IncomingMessage, response: ServerResponse, resource: Resource): number {
  const whole = Buffer.from(resource.body ?? '');
  const from = rangeStart(request.headers.range, resource.ranges);
  const body = whole.subarray(from);
  const status = from > 0 && resource.ranges === 'partial' ? 206 : (resource.status ?? 200);
  response.writeHead(status, {
    'Content-Type': resource.contentType ?? 'application/octet-stream',
    ...(resource.chunked === true || resource.endless === true
      ? {}
      : { 'Content-Length': String(body.length) }),
    ...(resource.etag === undefined ? {} : { ETag: resource.etag }),
    ...(resource.lastModified === undefined ? {} : { 'Last-Modified': resource.lastModified }),
    ...(resource.ranges === 'partial' || resource.ranges === 'ok' ? { 'Accept-Ranges': 'bytes' } : {}),
    ...(status === 206 ? { 'Content-Range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
    ...(resource.cacheControl === undefined ? {} : { 'Cache-Control': cacheControl(resource.cacheControl) }),
    ...resource.headers,
  });
  if (request.method === 'HEAD') response.end();
  else if (resource.endless === true) sendForEver(response, body);
  else if (resource.stallAfter !== undefined) response.write(body.subarray(0, resource.stallAfter));
  else if (resource.cutAfter !== undefined) {
    response.write(body.subarray(0, resource.cutAfter), () => response.destroy());
  } else if (resource.bytesPerSecond !== undefined) sendSlowly(response, body, resource.bytesPerSecond);
  else response.end(body);
  return status;
}

function rangeStart(range: string | undefined, ranges: Resource['ranges']): number {
  if (ranges === undefined || ranges === 'whole') return 0;
  return Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
}

function cacheControl(value: number | string): string {
  return typeof value === 'number' ? `max-age=${value}` : value;
}

function sendSlowly(response: ServerResponse, body: Buffer, bytesPerSecond: number): void {
  const step = Math.max(1, Math.ceil(bytesPerSecond / 20));
  let sent = 0;
  const timer = setInterval(() => {
    if (sent >= body.length) {
      clearInterval(timer);
      response.end();
      return;
    }
    response.write(body.subarray(sent, sent + step));
    sent += step;
  }, 50);
  response.on('close', () => clearInterval(timer));
}

function sendForEver(response: ServerResponse, body: Buffer): void {
  // A piece at a time: a connection that is gone takes any amount at once.
  const more = (): void => {
    if (response.socket === null || response.socket.destroyed) return;
    if (response.write(body)) setImmediate(more);
  };
  response.on('drain', more);
  more();
}

function selfSigned(): ServerIdentity {
  using authority = makeAuthority();
  return authority.issue({ names: ['localhost', '127.0.0.1'], selfSigned: true });
}
