// Registries that have nothing but version 1 of the protocol (contract stage0 5.3 point 4). It knows no digests: what
// comes is what the server says, so layers are fetched when the image is opened, and known by the digest they have then.
// Runs in stage0.

import { closeSync, fstatSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { parseGoJson } from '@rkt/spec/go-json';

import { type HttpOptions, httpRequest, type HttpResponse, readBody } from '../../fetch/http.ts';
import { DockerError, refuse } from '../errors.ts';
import { digestOf, type FileTree, type OpenFile, readAt } from '../file-tree.ts';
import { readImageConfig } from '../image-config.ts';
import { parseFields } from '../json-fields.ts';
import { localImage } from '../local-image.ts';
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from '../manifest.ts';
import { sniffCompression } from '../media-types.ts';
import type { DockerReference, OciImage, OciLayer } from '../oci-image.ts';
import { fullDockerReference } from '../reference.ts';
import { scratchFile } from '../scratch-file.ts';
import { BlobStream } from './blob-stream.ts';
import { findLogin } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import type { RegistryImageOptions } from './registry-image.ts';
import { statusError } from './status-error.ts';
import { readTlsFiles } from './tls-files.ts';
import { basicAuthorization, loginHint } from './token.ts';
import { belongsTo } from './trusted-realm.ts';

const MAX_ANCESTORS = 1000;

/** What the requests after the first need. */
interface Session {
  readonly base: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly http: HttpOptions;
}

/** @throws DockerError, FetchError */
export async function openVersion1(
  endpoint: Endpoint,
  reference: DockerReference,
  options: RegistryImageOptions,
): Promise<OciImage> {
  if (reference.digest !== undefined) {
    refuse(
      'registry',
      `${endpoint.host} speaks version 1 of the registry protocol only, which has no digests`,
    );
  }
  const session = await openSession(endpoint, options);
  const id = await findTag(session, endpoint, reference);
  const ancestry = await readAncestry(session, id);
  const config = parseFields(
    await readSmall(session, `images/${id}/json`, MAX_CONFIG_BYTES),
    `config of image ${id}`,
  );
  const tree = new LayerFiles(endpoint.host);
  try {
    const layers: OciLayer[] = [];
    for (const ancestor of ancestry.toReversed()) {
      layers.push(await tree.add(await fetchLayer(session, ancestor, options)));
    }
    const [, parent] = ancestry;
    const comment = config.text('comment');
    const legacy = {
      schema: 'v1' as const,
      id,
      ...(parent !== undefined && { parent }),
      ...(comment !== '' && { comment }),
    };
    return localImage(
      { manifestDigest: `sha256:${id}`, config: readImageConfig(config), layers, legacy },
      { reference, source: 'registry', tree, fileOf: (layer) => layer.digest },
    );
  } catch (error) {
    tree.close();
    throw error;
  }
}

async function openSession(endpoint: Endpoint, options: RegistryImageOptions): Promise<Session> {
  const { host, repository } = endpoint;
  const tls = readTlsFiles(host, options.certificateDirectories);
  const http: HttpOptions = {
    insecureTls: options.insecure.tls,
    login: {},
    env: options.env,
    ...(tls !== undefined && { tls }),
  };
  const base = await ping(host, options.insecure.http, http);
  const login = await findLogin(host, repository, options);
  const url = new URL(`repositories/${repository}/images`, base);
  const response = await httpRequest(url, {
    ...http,
    headers: { 'X-Docker-Token': 'true' },
    login: login?.kind === 'password' ? { Authorization: basicAuthorization(login) } : {},
  });
  if (response.status !== 200) throw await failure(response, url, base);
  response.body.destroy();
  return {
    base: endpointUrl(response.header('x-docker-endpoints'), base),
    headers: sessionHeaders(response),
    // What it names is no nearer than itself.
    http: { ...http, namedBy: response.server },
  };
}

async function ping(host: string, allowHttp: boolean, http: HttpOptions): Promise<URL> {
  let failed: unknown;
  for (const scheme of allowHttp ? ['https', 'http'] : ['https']) {
    const base = new URL(`${scheme}://${host}/v1/`);
    try {
      const { status, body } = await httpRequest(new URL('_ping', base), http);
      body.destroy();
      if (status === 200) return base;
      failed = new DockerError(
        'registry',
        `${host} is not a docker registry: it has neither /v2/ nor /v1/_ping`,
      );
    } catch (error) {
      failed ??= error;
    }
  }
  throw failed;
}

// The token is for the registry's own servers.
function endpointUrl(header: string | undefined, base: URL): URL {
  const [host = ''] = (header ?? '').split(',').map((name) => name.trim());
  if (host === '') return base;
  const text = `${base.protocol}//${host}/v1/`;
  if (!/^[A-Za-z0-9.:[\]-]+$/.test(host) || !URL.canParse(text)) {
    return refuse('registry', `${base.host} names a bad endpoint: ${quote(host.slice(0, 200))}`);
  }
  const url = new URL(text);
  if (!belongsTo(url, base))
    refuse('registry', `${base.host} names an endpoint of somebody else: ${url.host}`);
  return url;
}

function sessionHeaders(response: HttpResponse): Record<string, string> {
  const token = response.header('x-docker-token') ?? '';
  const cookies = (response.body.headers['set-cookie'] ?? []).map((cookie) => cookie.replace(/;.*/s, ''));
  return {
    ...(token !== '' && { Authorization: `Token ${token}` }),
    ...(cookies.length > 0 && { Cookie: cookies.join('; ') }),
  };
}

async function get(
  session: Session,
  path: string,
  headers: Record<string, string> = {},
): Promise<HttpResponse> {
  const url = new URL(path, session.base);
  // As a login: a redirect to a storage server does not get it.
  const response = await httpRequest(url, { ...session.http, headers, login: session.headers });
  if (response.status === 200 || response.status === 206) return response;
  throw await failure(response, url, session.base);
}

async function failure(response: HttpResponse, url: URL, base: URL): Promise<DockerError> {
  const error = await statusError(response, url);
  return error.code === 'unauthorized'
    ? new DockerError('unauthorized', error.message, { hint: loginHint(base) })
    : error;
}

async function readSmall(session: Session, path: string, maxBytes: number): Promise<Buffer> {
  return await readBody(await get(session, path), new URL(path, session.base), maxBytes);
}

async function findTag(
  session: Session,
  { repository }: Endpoint,
  reference: DockerReference,
): Promise<string> {
  const body = await readSmall(session, `repositories/${repository}/tags`, MAX_MANIFEST_BYTES);
  const tag = reference.tag ?? '';
  const tags = parseGoJson(body.toString('utf8'), `tags of ${repository}`);
  const isMap = typeof tags === 'object' && tags !== null && Object.hasOwn(tags, tag);
  const id: unknown = isMap ? (tags as Record<string, unknown>)[tag] : undefined;
  if (id === undefined) return refuse('not-found', `no image ${fullDockerReference(reference)}`);
  return checkId(id);
}

async function readAncestry(session: Session, id: string): Promise<string[]> {
  const body = await readSmall(session, `images/${id}/ancestry`, MAX_MANIFEST_BYTES);
  const list = parseGoJson(body.toString('utf8'), `ancestry of image ${id}`);
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_ANCESTORS || list[0] !== id) {
    return refuse('bad-image', `ancestry of image ${id} is not a list of IDs that starts with it`);
  }
  return list.map((ancestor: unknown) => checkId(ancestor));
}

// It becomes part of a path.
function checkId(id: unknown): string {
  if (typeof id === 'string' && /^[0-9a-f]{64}$/.test(id)) return id;
  return refuse('bad-image', `bad image ID ${quote(String(id).slice(0, 200))}`);
}

async function fetchLayer(session: Session, id: string, options: RegistryImageOptions): Promise<number> {
  const path = `images/${id}/layer`;
  const stream = new BlobStream(
    {
      url: new URL(path, session.base),
      open: (offset, signal) => {
        const http = { ...session.http, signal };
        return get({ ...session, http }, path, offset === 0 ? {} : { Range: `bytes=${offset}-` });
      },
    },
    options.patience,
  );
  return await scratchFile(options.data, stream.bytes(), `layer ${id}`);
}

// Layers by their digests.
class LayerFiles implements FileTree {
  readonly where: string;
  readonly #files = new Map<string, number>();

  constructor(where: string) {
    this.where = where;
  }

  /** Takes over `fd`. */
  async add(fd: number): Promise<OciLayer> {
    const file = fileOf(fd);
    const { sizeBytes } = file;
    const digest = await digestOf(file);
    const compression = sniffCompression(file.read(0, 4));
    if (this.#files.has(digest)) closeSync(fd);
    else this.#files.set(digest, fd);
    const mediaType = `application/vnd.docker.image.rootfs.diff.tar${compression === 'none' ? '' : `.${compression}`}`;
    return { digest, mediaType, sizeBytes, compression };
  }

  open(digest: string): OpenFile | undefined {
    const fd = this.#files.get(digest);
    return fd === undefined ? undefined : fileOf(fd);
  }

  close(): void {
    for (const fd of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }
}

function fileOf(fd: number): OpenFile {
  return {
    sizeBytes: fstatSync(fd).size,
    read: (position, length) => readAt(fd, position, length),
    close: () => undefined,
  };
}
