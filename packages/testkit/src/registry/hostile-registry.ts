// A docker registry in the test process that behaves as badly as a test asks for. It serves what it was given, without
// any check: wrong digests, foreign manifests, strange challenges. The client under test must be another process or use
// asynchronous calls.

import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { BuiltOciImage, OciBlob } from '../oci-builder.ts';
import type { TlsIdentity } from './tls-identity.ts';

/** What was asked. */
export interface RegistryRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** 0 while it is not answered. */
  status: number;
}

/** Answers one request in the registry's place; false: as usual. */
export type Misbehaviour = (request: RegistryRequest, response: ServerResponse) => boolean | void;

/** How clients have to log in. */
export type RegistryAuth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | {
      readonly kind: 'bearer';
      /** Without one everybody gets a token. */
      readonly login?: { readonly user: string; readonly password: string };
      /** Instead of its own `/token`. */
      readonly realm?: string;
      /** Name of the field in the answer. */
      readonly field?: 'token' | 'access_token';
      /** How often a token may be used. */
      readonly uses?: number;
    };

/** A running registry. */
export interface HostileRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `http://HOST` or with https. */
  readonly url: string;
  readonly requests: readonly RegistryRequest[];
  /** Puts an image at a tag and at its digest. */
  put(repository: string, tag: string, image: BuiltOciImage): void;
  /** Puts a manifest at a tag or digest; it may be anything. */
  putManifest(repository: string, reference: string, manifest: OciBlob): void;
  putBlob(repository: string, digest: string, bytes: Uint8Array): void;
  auth: RegistryAuth | undefined;
  /** Called for requests whose path matches, the last one first. */
  misbehave(path: RegExp, behaviour: Misbehaviour): void;
  /** Requests whose path and query match. */
  requestsOf(path: RegExp): RegistryRequest[];
  close(): Promise<void>;
}

/** Starts a registry on a free port of 127.0.0.1; with `tls` over https. */
export async function startHostileRegistry({
  tls,
}: { readonly tls?: TlsIdentity } = {}): Promise<HostileRegistry> {
  const objects = new Map<string, { readonly bytes: Uint8Array; readonly type: string }>();
  const requests: RegistryRequest[] = [];
  const behaviours: { path: RegExp; behaviour: Misbehaviour }[] = [];
  const tokens = new Map<string, number>();
  let url = '';
  const registry = { auth: undefined as RegistryAuth | undefined };

  const answer = (request: RegistryRequest, response: ServerResponse): void => {
    const path = request.url.replace(/\?.*/s, '');
    const found = behaviours.toReversed().filter((each) => each.path.test(path));
    if (found.some(({ behaviour }) => behaviour(request, response) !== false)) return;
    if (path === '/token') return giveToken(request, response);
    response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
    if (!isAllowed(request)) {
      response.setHeader('WWW-Authenticate', challenge());
      return end(
        response,
        401,
        '{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}',
        'application/json',
      );
    }
    if (path === '/v2/') return end(response, 200, '{}', 'application/json');
    const object = objects.get(path);
    if (object === undefined) {
      return end(response, 404, '{"errors":[{"code":"UNKNOWN","message":"not here"}]}', 'application/json');
    }
    sendObject(request, response, object);
  };

  const challenge = (): string => {
    const { auth } = registry;
    if (auth?.kind === 'basic') return 'Basic realm="test"';
    return `Bearer realm="${auth?.realm ?? `${url}/token`}",service="test service",scope="repository:x:pull,push"`;
  };
  const isAllowed = ({ headers }: RegistryRequest): boolean => {
    const { auth } = registry;
    if (auth === undefined) return true;
    if (auth.kind === 'basic') return headers.authorization === basic(auth);
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    const left = tokens.get(token) ?? 0;
    if (left > 0) tokens.set(token, left - 1);
    return left > 0;
  };
  const giveToken = (request: RegistryRequest, response: ServerResponse): void => {
    const { auth } = registry;
    if (auth?.kind !== 'bearer') return end(response, 404);
    const { login, field = 'token', uses = Infinity } = auth;
    if (login !== undefined && request.headers.authorization !== basic(login)) return end(response, 401);
    const token = `token-${tokens.size + 1}`;
    tokens.set(token, uses);
    return end(response, 200, JSON.stringify({ [field]: token, expires_in: 60 }), 'application/json');
  };

  const handler = (incoming: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request: RegistryRequest = {
        method: incoming.method ?? '',
        url: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
        status: 0,
      };
      requests.push(request);
      response.on('close', () => (request.status = response.statusCode));
      answer(request, response);
    });
  };
  const server: Server = tls === undefined ? createServer(handler) : createTlsServer(tls, handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  url = `${tls === undefined ? 'http' : 'https'}://${host}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const putManifest: HostileRegistry['putManifest'] = (repository, reference, { bytes, mediaType }) =>
    objects.set(`/v2/${repository}/manifests/${reference}`, { bytes, type: mediaType });
  const putBlob: HostileRegistry['putBlob'] = (repository, digest, bytes) =>
    objects.set(`/v2/${repository}/blobs/${digest}`, { bytes, type: 'application/octet-stream' });
  return Object.assign(registry, {
    host,
    url,
    requests,
    put: (repository: string, tag: string, image: BuiltOciImage) => {
      putManifest(repository, tag, image.manifest);
      putManifest(repository, image.manifest.digest, image.manifest);
      for (const { digest, bytes } of [image.config, ...image.layers]) putBlob(repository, digest, bytes);
    },
    putManifest,
    putBlob,
    misbehave: (path: RegExp, behaviour: Misbehaviour) => void behaviours.push({ path, behaviour }),
    requestsOf: (path: RegExp) => requests.filter((seen) => path.test(seen.url)),
    close,
    [Symbol.asyncDispose]: close,
  });
}

/** Ends an answer. */
export function end(response: ServerResponse, status: number, body = '', type = 'text/plain'): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function sendObject(
  { headers, method }: RegistryRequest,
  response: ServerResponse,
  { bytes, type }: { readonly bytes: Uint8Array; readonly type: string },
): void {
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  const body = bytes.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    'Content-Type': type,
    'Content-Length': body.length,
    ...(from > 0 && { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(method === 'HEAD' ? undefined : body);
}
