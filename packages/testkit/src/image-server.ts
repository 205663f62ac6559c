// An image server on loopback that behaves well or badly on request (contract stage0 4.6, 10.8). Runs inside the
// test process, so the client under test must be another process or use asynchronous calls.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { TempDir } from './tmp.ts';

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
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly status: number;
}

/** A running server. */
export interface ImageServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` or with https, without a final slash. */
  readonly url: string;
  readonly port: number;
  /** All requests so far, in order of their answers. */
  readonly requests: readonly SeenRequest[];
  /** The certificate in PEM form, for servers with TLS. */
  readonly certificate: string | undefined;
  /** Offers `resource` at `path` (with its leading slash), instead of what was there. Returns its address. */
  serve(path: string, resource: Resource): string;
  /** Requests of one path. */
  requestsOf(path: string): SeenRequest[];
  close(): Promise<void>;
}

/** Starts a server on a free port of 127.0.0.1. TLS uses a fresh self-signed certificate and needs openssl(1). */
export async function startImageServer({
  tls = false,
}: { readonly tls?: boolean } = {}): Promise<ImageServer> {
  const resources = new Map<string, Resource>();
  const requests: SeenRequest[] = [];
  const deferrals = new Map<string, number>();
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const path = (request.url ?? '/').replace(/\?.*/s, '');
    const resource = resources.get(path) ?? { status: 404, body: 'not found\n' };
    const status = (): number =>
      answer(request, response, resource, isDeferred(path, resource, deferrals, requests));
    const record = (): void => {
      requests.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        status: status(),
      });
    };
    if (resource.delayMs === undefined) record();
    else setTimeout(record, resource.delayMs).unref();
  };
  const identity = tls ? selfSigned() : undefined;
  const server: Server = identity === undefined ? createServer(handler) : createTlsServer(identity, handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
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
      return `${url}${path}`;
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
  const { authorization, redirect, etag, noHead = false } = resource;
  const end = (status: number, headers: Record<string, string> = {}): number => {
    response.writeHead(status, headers);
    response.end();
    return status;
  };
  if (request.method !== 'GET' && (request.method !== 'HEAD' || noHead)) return end(405);
  if (authorization !== undefined && request.headers.authorization !== authorization) return end(401);
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
    ...(resource.chunked === true ? {} : { 'Content-Length': String(body.length) }),
    ...(resource.etag === undefined ? {} : { ETag: resource.etag }),
    ...(resource.lastModified === undefined ? {} : { 'Last-Modified': resource.lastModified }),
    ...(resource.ranges === 'partial' || resource.ranges === 'ok' ? { 'Accept-Ranges': 'bytes' } : {}),
    ...(status === 206 ? { 'Content-Range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
    ...(resource.cacheControl === undefined ? {} : { 'Cache-Control': cacheControl(resource.cacheControl) }),
    ...resource.headers,
  });
  if (request.method === 'HEAD') response.end();
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

function selfSigned(): { key: string; cert: string } {
  using tmp = new TempDir('tls');
  const [key, cert] = [tmp.join('key'), tmp.join('cert')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  const { status, stderr, error } = spawnSync('openssl', [...args, ...subject, '-keyout', key, '-out', cert]);
  if (status !== 0) throw new Error(`openssl failed: ${error?.message ?? stderr.toString()}`);
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
