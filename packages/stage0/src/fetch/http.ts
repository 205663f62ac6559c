// One HTTP request with its redirects (contract stage0 4.6, 2.4). Runs in stage0.

import type { LookupAddress, LookupOptions } from 'node:dns';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { AgentOptions } from 'node:https';

import { printable, quote } from '@rkt/diagnostics/quote';

import { buildInfo } from '../build-info.ts';
import type { Headers } from '../config/authorization.ts';
import { CookieJar } from './cookies.ts';
import { FetchError } from './errors.ts';
import { mayRedirect, type Nearness, nearness } from './local-address.ts';
import { networkReason } from './network-reasons.ts';
import { proxyFor } from './proxy.ts';

/** How requests are made. */
export interface HttpOptions {
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a POST; never sent to where a redirect leads. */
  readonly form?: URLSearchParams;
  /** Accept any certificate. */
  readonly insecureTls: boolean;
  /** Certificates for the first host; where a redirect leads to another one, they do not count. */
  readonly tls?: TlsFiles;
  /** How near the server is that named this address: rkt may be sent no nearer than to that. Nobody by default. */
  readonly namedBy?: Nearness;
  /** Headers that log in, for the first request only: redirects do not get them. AWS signs the method, too. */
  readonly login: Headers | ((method: 'GET' | 'HEAD') => Headers);
  /** Log in again where a redirect leads to the same scheme, host and port; not once one has led elsewhere. */
  readonly loginFollows?: boolean;
  /** For the proxy variables and those that name the trusted certificates. */
  readonly env: Readonly<Record<string, string>>;
  /** Cookies of earlier requests for the same image; none by default. */
  readonly cookies?: CookieJar;
  /** Ends the request and its body. */
  readonly signal?: AbortSignal;
  readonly times?: Partial<HttpTimes>;
}

/** Certificates in PEM form. */
export interface TlsFiles {
  /** Authorities to trust besides those of the system. */
  readonly ca: readonly string[];
  /** What identifies us, with its key. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** How long to wait for a server. */
export interface HttpTimes {
  /** Until it is connected, with all handshakes. */
  readonly connectMs: number;
  /** From there to the beginning of its answer. */
  readonly answerMs: number;
  /** A body must bring {@link minBytes} in each of these periods. */
  readonly paceMs: number;
  readonly minBytes: number;
}

const TIMES: HttpTimes = { connectMs: 30_000, answerMs: 60_000, paceMs: 60_000, minBytes: 6000 };

/** A response whose body is still to be read or destroyed. */
export interface HttpResponse {
  readonly status: number;
  readonly body: IncomingMessage;
  /** How near the server is that answered. */
  readonly server: Nearness;
  header(name: string): string | undefined;
}

const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Requests `url` and follows redirects. @throws FetchError `network`, `redirect`, `proxy`, `cancelled` */
export async function httpRequest(url: URL, options: HttpOptions): Promise<HttpResponse> {
  const { method = 'GET', login, cookies = new CookieJar() } = options;
  const headers: Record<string, string> = {
    ...(options.form !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
    'User-Agent': `rkt/${buildInfo.version}`,
    // The bytes that were published are what is hashed and signed.
    'Accept-Encoding': 'identity',
    ...options.headers,
    ...(typeof login === 'function' ? login(method === 'HEAD' ? 'HEAD' : 'GET') : login),
  };
  let target = url;
  let origin: Nearness = options.namedBy ?? 'loopback';
  if (!mayRedirect(origin, nearness(url.hostname))) throw localRedirect(url);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const { tls, ...others } = options;
    const ours = tls !== undefined && target.host === url.host ? { ...others, tls } : others;
    const body = await sendRequest(target, { ...headers, ...cookies.headersFor(target) }, ours, origin);
    cookies.store(target, body.headers['set-cookie']);
    const status = body.statusCode ?? 0;
    const location = body.headers.location;
    const server = nearnessOf(target, body, options);
    if (!REDIRECTS.has(status) || location === undefined || method === 'POST') {
      return response(status, body, server);
    }
    if (hops === 0) origin = server;
    body.destroy();
    target = redirectTarget(target, location, origin);
    if (options.loginFollows !== true || target.origin !== url.origin) forget(headers, login);
  }
  throw new FetchError('redirect', `too many redirects from ${shownUrl(url)}`);
}

function forget(headers: Record<string, string>, login: HttpOptions['login']): void {
  const names = Object.keys(typeof login === 'function' ? login('GET') : login);
  for (const name of names) delete headers[name];
}

// Behind a proxy nobody here knows where the server is; its name must do.
function nearnessOf(url: URL, { socket }: IncomingMessage, { env }: HttpOptions): Nearness {
  const direct = proxyFor(url, env) === undefined;
  return nearness((direct ? socket.remoteAddress : undefined) ?? url.hostname);
}

function response(status: number, body: IncomingMessage, server: Nearness): HttpResponse {
  return {
    status,
    body,
    server,
    header: (name) => {
      const value = body.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
  };
}

function redirectTarget(from: URL, location: string, origin: Nearness): URL {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (target === undefined || !['http:', 'https:'].includes(target.protocol)) {
    throw new FetchError('redirect', `${from.host} redirects to ${quote(location)}`);
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    throw new FetchError('redirect', `${from.host} redirects from https to http: ${shownUrl(target)}`);
  }
  if (!mayRedirect(origin, nearness(target.hostname))) throw localRedirect(target);
  return target;
}

function localRedirect(target: URL): FetchError {
  return new FetchError(
    'redirect',
    `redirect to ${shownUrl(target)}, which only this machine can reach, from a server on the network`,
  );
}

async function sendRequest(
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: HttpOptions,
  origin: Nearness,
): Promise<IncomingMessage> {
  const { method = 'GET', signal, form } = options;
  const secure = url.protocol === 'https:';
  const { Agent, request } = secure ? await import('node:https') : await import('node:http');
  const proxy = proxyFor(url, options.env);
  const agent = new Agent({
    ...(proxy !== undefined && { proxyEnv: { [secure ? 'https_proxy' : 'http_proxy']: proxy.href } }),
    ...(secure && (await tlsOptions(options))),
  });
  const requestOptions: RequestOptions = {
    method,
    headers,
    agent,
    ...(signal !== undefined && { signal }),
    // A proxy looks names up by itself.
    ...(proxy === undefined && origin !== 'loopback' && { lookup: await guardedLookup(url, origin) }),
  };
  const times = { ...TIMES, ...options.times };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request(url, requestOptions, (body) => {
    watchPace(url, body, times);
    resolve(body);
  });
  watchAnswer(url, outgoing, secure, times);
  outgoing.on('error', (error) => reject(networkError(url, error)));
  outgoing.end(form?.toString());
  return promise;
}

async function tlsOptions({ insecureTls, env, tls }: HttpOptions): Promise<AgentOptions> {
  if (insecureTls) return { rejectUnauthorized: false, ...tls?.client };
  const { systemTrust } = await import('./system-certificates.ts');
  return { rejectUnauthorized: true, secureContext: systemTrust(env, tls) };
}

type Lookup = NonNullable<RequestOptions['lookup']>;

// Names are judged by what they lead to, at the moment the connection is made.
async function guardedLookup(url: URL, origin: Nearness): Promise<Lookup> {
  const { lookup } = await import('node:dns');
  return (host, options, callback) => {
    const all: LookupOptions & { all: true } = { ...options, all: true };
    lookup(host, all, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, found);
      if (found.some(({ address }) => !mayRedirect(origin, nearness(address)))) {
        return callback(localRedirect(url), found);
      }
      const [first] = found;
      return options.all === true
        ? callback(null, found)
        : callback(null, first?.address ?? '', first?.family);
    });
  };
}

// Ends a request that gets no connection, or no answer on it.
function watchAnswer(
  url: URL,
  outgoing: ClientRequest,
  secure: boolean,
  { connectMs, answerMs }: HttpTimes,
): void {
  // The socket keeps the process alive, its timers need not.
  const giveUp = (what: string, ms: number): NodeJS.Timeout =>
    setTimeout(() => {
      const message = `cannot get ${shownUrl(url)}: ${what} after ${ms / 1000} s`;
      outgoing.destroy(new FetchError('network', message));
    }, ms).unref();
  let timer = giveUp('no connection', connectMs);
  outgoing.once('socket', (socket) => {
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      if (!outgoing.destroyed) timer = giveUp('no answer', answerMs);
    });
  });
  for (const event of ['response', 'close']) outgoing.once(event, () => clearTimeout(timer));
}

// A server that sends a byte now and then keeps a connection alive but not a download.
function watchPace(url: URL, body: IncomingMessage, { paceMs, minBytes }: HttpTimes): void {
  const { socket } = body;
  let before = socket.bytesRead;
  const check = (): void => {
    const now = socket.bytesRead;
    // What waits for us is not the server's fault.
    if (body.readableLength === 0 && now - before < minBytes && !body.readableEnded) {
      const message = `cannot get ${shownUrl(url)}: stalled, ${now - before} bytes in ${paceMs / 1000} s`;
      body.destroy(new FetchError('network', message));
    }
    before = now;
  };
  // After a long piece of work the timer comes before the bytes that arrived meanwhile.
  const timer = setInterval(() => setImmediate(check), paceMs).unref();
  body.once('close', () => clearInterval(timer));
}

/** What went wrong on the network, naming the host. */
export function networkError(url: URL, error: unknown): unknown {
  if (error instanceof FetchError) return error;
  const failure = error as NodeJS.ErrnoException;
  if (failure.name === 'AbortError') return aborted(url, failure);
  const { reason, hint } = networkReason(failure);
  return new FetchError(
    'network',
    `cannot get ${shownUrl(url)}: ${printable(reason)}`,
    hint === undefined ? {} : { hint },
  );
}

function aborted(url: URL, { cause }: Error): FetchError {
  return cause instanceof Error && cause.name === 'TimeoutError'
    ? new FetchError('network', `cannot get ${shownUrl(url)}: it took too long`)
    : new FetchError('cancelled', `cannot get ${shownUrl(url)}: cancelled`);
}

/** A URL for messages: without a password, safe for terminals. */
export function shownUrl(url: URL): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  return printable(shown.href);
}

/** A body as bytes. @throws FetchError `too-large`, `network` */
export async function readBody({ body }: HttpResponse, url: URL, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes)
        throw new FetchError('too-large', `${shownUrl(url)} is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw networkError(url, error);
  }
  return Buffer.concat(chunks);
}
