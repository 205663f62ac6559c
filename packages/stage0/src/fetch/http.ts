// One HTTP request with its redirects (contract stage0 4.6, 2.4). Runs in stage0.

import type { IncomingMessage, RequestOptions } from 'node:http';

import { printable, quote } from '@rkt/diagnostics/quote';

import { buildInfo } from '../build-info.ts';
import type { Headers } from '../config/authorization.ts';
import { FetchError } from './errors.ts';

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
  /** Headers that log in, for the first request only: redirects never get them. */
  readonly login: Headers;
  /** For the proxy variables. */
  readonly env: Readonly<Record<string, string>>;
}

/** Certificates in PEM form. */
export interface TlsFiles {
  /** Authorities to trust besides those of the system. */
  readonly ca: readonly string[];
  /** What identifies us, with its key. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** A response whose body is still to be read or destroyed. */
export interface HttpResponse {
  readonly status: number;
  readonly body: IncomingMessage;
  header(name: string): string | undefined;
}

const MAX_REDIRECTS = 10;
// A server that says nothing for this long is gone.
const IDLE_MS = 60_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Requests `url` and follows redirects. @throws FetchError `network`, `redirect`, `not-supported` */
export async function httpRequest(url: URL, options: HttpOptions): Promise<HttpResponse> {
  const headers: Record<string, string> = {
    ...(options.form !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
    'User-Agent': `rkt/${buildInfo.version}`,
    // The bytes that were published are what is hashed and signed.
    'Accept-Encoding': 'identity',
    ...options.headers,
  };
  let target = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const login = hops === 0 ? options.login : {};
    const { tls, ...others } = options;
    const ours = target.host === url.host && tls !== undefined ? { ...others, tls } : others;
    const body = await sendRequest(target, { ...headers, ...login }, ours);
    const status = body.statusCode ?? 0;
    const location = body.headers.location;
    if (!REDIRECTS.has(status) || location === undefined || options.method === 'POST') {
      return response(status, body);
    }
    body.destroy();
    target = redirectTarget(target, location);
  }
  throw new FetchError('redirect', `too many redirects from ${shownUrl(url)}`);
}

function response(status: number, body: IncomingMessage): HttpResponse {
  return {
    status,
    body,
    header: (name) => {
      const value = body.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
  };
}

function redirectTarget(from: URL, location: string): URL {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (target === undefined || !['http:', 'https:'].includes(target.protocol)) {
    throw new FetchError('redirect', `${from.host} redirects to ${quote(location)}`);
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    throw new FetchError('redirect', `${from.host} redirects from https to http: ${shownUrl(target)}`);
  }
  return target;
}

async function sendRequest(
  url: URL,
  headers: Readonly<Record<string, string>>,
  { method = 'GET', insecureTls, env, tls, form }: HttpOptions,
): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:';
  const { Agent, request } = secure ? await import('node:https') : await import('node:http');
  const agent = new Agent({
    proxyEnv: env,
    ...(secure && {
      rejectUnauthorized: !insecureTls,
      ...tls?.client,
      ...(tls !== undefined && { ca: [...(await import('node:tls')).rootCertificates, ...tls.ca] }),
    }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options: RequestOptions = { method, headers, agent, timeout: IDLE_MS };
  const outgoing = request(url, options, resolve);
  outgoing.on('timeout', () => outgoing.destroy(new FetchError('network', `${url.host} does not answer`)));
  outgoing.on('error', (error) => reject(networkError(url, error)));
  outgoing.end(form?.toString());
  return promise;
}

/** What went wrong on the network, naming the host. */
export function networkError(url: URL, error: unknown): unknown {
  if (error instanceof FetchError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new FetchError('network', `cannot get ${shownUrl(url)}: ${REASONS[code ?? ''] ?? message}`);
}

/** A URL for messages: without a password, safe for terminals. */
export function shownUrl(url: URL): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  return printable(shown.href);
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed by the server',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'cannot resolve the host name',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
};

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
