// Images in registries (contract stage0 5.3). Runs in stage0.

import type { Logger } from '@rkt/diagnostics/logger';
import { printable, quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { DataDir } from '@rkt/pod-layout/data-dir';

import type { DockerMirror } from '../../config/config.ts';
import { readBody } from '../../fetch/http.ts';
import { Progress } from '../../fetch/progress.ts';
import { checkDigest, type Digest, parseDigest, verified } from '../digest.ts';
import { refuse } from '../errors.ts';
import { loadImage, type ManifestBytes, type ManifestSource } from '../load-image.ts';
import { MAX_MANIFEST_BYTES, type Platform } from '../manifest.ts';
import { ACCEPTED_MANIFESTS, manifestKind } from '../media-types.ts';
import type { DockerReference, LayerStream, OciImage, OciLayer } from '../oci-image.ts';
import { schema1Payload } from '../schema1.ts';
import { BlobStream, type Patience } from './blob-stream.ts';
import { connect, type RegistryClient, type RegistryOptions } from './client.ts';
import { type Endpoint, endpointsOf } from './endpoint.ts';

/** What {@link openRegistryImage} needs. */
export interface RegistryImageOptions extends RegistryOptions {
  readonly mirrors: ReadonlyMap<string, readonly DockerMirror[]>;
  readonly platform: Platform;
  /** Digest of a manifest that is not wanted again. */
  readonly known?: string;
  readonly logger: Logger;
  /** For layers whose digest nobody tells. */
  readonly data: DataDir;
  readonly patience?: Patience;
}

/** Asks the mirrors, then the registry itself. @throws DockerError, FetchError */
export async function openRegistryImage(
  reference: DockerReference,
  options: RegistryImageOptions,
): Promise<OciImage> {
  const endpoints = endpointsOf(reference, options.mirrors);
  return await firstThatHas(endpoints, options, (endpoint, later) =>
    openAt(endpoint, later, reference, options),
  );
}

// What goes wrong with a mirror is said, and the next one is asked; the registry itself is the last.
async function firstThatHas<Result>(
  endpoints: readonly Endpoint[],
  { logger }: Pick<RegistryImageOptions, 'logger'>,
  ask: (endpoint: Endpoint, later: readonly Endpoint[]) => Promise<Result>,
): Promise<Result> {
  const [endpoint, ...later] = endpoints;
  if (endpoint === undefined) return refuse('registry', 'no registry to ask');
  if (later.length === 0) return await ask(endpoint, later);
  try {
    return await ask(endpoint, later);
  } catch (error) {
    if (hasCode(error, 'unchanged') || hasCode(error, 'cancelled')) throw error;
    logger.info(`mirror ${endpoint.host}: ${printable((error as Error).message)}`);
    return await firstThatHas(later, { logger }, ask);
  }
}

async function openAt(
  endpoint: Endpoint,
  later: readonly Endpoint[],
  reference: DockerReference,
  options: RegistryImageOptions,
): Promise<OciImage> {
  const client = await connect(endpoint, options);
  if (client !== undefined) return await openVersion2(client, later, reference, options);
  if (endpoint.isMirror) return refuseVersion1(endpoint);
  const { openVersion1 } = await import('./version1.ts');
  return await openVersion1(endpoint, reference, options);
}

function refuseVersion1({ host }: Endpoint): never {
  return refuse('registry', `${host} does not speak version 2 of the registry protocol`);
}

async function openVersion2(
  client: RegistryClient,
  later: readonly Endpoint[],
  reference: DockerReference,
  options: RegistryImageOptions,
): Promise<OciImage> {
  const loaded = await loadImage(manifestsOf(client, reference), { reference, ...options });
  const streams = new Set<BlobStream>();
  const broken = new Set<Endpoint>();
  return {
    ...loaded,
    reference,
    source: 'registry',
    // A mirror may have less than it says, or something else: whoever has the layer, its digest decides.
    openLayer: (layer) => {
      const endpoints = [client.endpoint, ...later].filter((endpoint) => !broken.has(endpoint));
      return firstThatHas(endpoints, options, async (endpoint, others) => {
        const other = endpoint === client.endpoint ? client : await connect(endpoint, options);
        const stream = await openLayer(other ?? refuseVersion1(endpoint), layer, streams, options);
        return others.length === 0 ? stream : untilBroken(stream, endpoint, broken, options);
      });
    },
    close: async () => {
      for (const stream of streams) stream.close();
    },
  };
}

function manifestsOf(client: RegistryClient, { tag, digest, text }: DockerReference): ManifestSource {
  const manifest = async (name: string, wanted: Digest | undefined): Promise<ManifestBytes> => {
    const path = `manifests/${name}`;
    const response = await client.get(path, { Accept: ACCEPTED_MANIFESTS });
    const mediaType = response.header('content-type');
    const received = await readBody(response, client.url(path), MAX_MANIFEST_BYTES);
    const what = `manifest of ${client.endpoint.host}/${client.endpoint.repository}:${name}`;
    if (/^text\/html\b/i.test(mediaType ?? '')) {
      refuse('registry', `${client.endpoint.host} answers with a web page instead of the ${what}`);
    }
    const signed = manifestKind(mediaType) === 'schema1';
    const bytes = signed ? schema1Payload(received, what) : received;
    if (wanted !== undefined) checkDigest(bytes, wanted, what);
    return { bytes, mediaType, what };
  };
  return {
    where: `image ${quote(text)}`,
    root: () =>
      digest === undefined
        ? manifest(tag ?? 'latest', undefined)
        : manifest(digest, parseDigest(digest, 'reference')),
    manifest: async (descriptor) => await manifest(descriptor.digest.text, descriptor.digest),
    blob: async (descriptor, maxBytes) => {
      const path = `blobs/${descriptor.digest.text}`;
      return await readBody(await client.get(path), client.url(path), maxBytes);
    },
  };
}

async function openLayer(
  client: RegistryClient,
  layer: OciLayer,
  streams: Set<BlobStream>,
  { patience, signal }: RegistryImageOptions,
): Promise<LayerStream> {
  const digest = parseDigest(layer.digest, 'layer');
  const path = `blobs/${digest.text}`;
  const source = {
    url: client.url(path),
    open: (offset: number, own: AbortSignal): ReturnType<RegistryClient['get']> =>
      client.get(
        path,
        offset === 0 ? {} : { Range: `bytes=${offset}-` },
        signal === undefined ? own : AbortSignal.any([own, signal]),
      ),
  };
  const stream = new BlobStream(source, patience);
  streams.add(stream);
  await stream.start();
  const expected = { digest, sizeBytes: layer.sizeBytes, what: `layer ${digest.text}` };
  const bytes = shown(verified(stream.bytes(), expected), layer);
  return {
    [Symbol.asyncIterator]: () => bytes,
    [Symbol.asyncDispose]: async () => {
      stream.close();
      streams.delete(stream);
    },
  };
}

// Remembers a mirror that breaks off or sends what the digest does not fit.
function untilBroken(
  stream: LayerStream,
  endpoint: Endpoint,
  broken: Set<Endpoint>,
  { logger }: RegistryImageOptions,
): LayerStream {
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* stream;
    } catch (error) {
      if (!hasCode(error, 'cancelled')) {
        logger.info(`mirror ${endpoint.host}: ${printable((error as Error).message)}`);
        broken.add(endpoint);
      }
      throw error;
    }
  }
  const iterator = bytes();
  return {
    [Symbol.asyncIterator]: () => iterator,
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
    get hasOther() {
      return broken.has(endpoint);
    },
  };
}

// As docker shows it: the first eleven digits.
async function* shown(
  bytes: AsyncIterable<Uint8Array>,
  { digest, sizeBytes }: OciLayer,
): AsyncGenerator<Uint8Array, void, undefined> {
  const [algorithm = '', hex = ''] = digest.split(':');
  using progress = new Progress(
    `Downloading ${algorithm}:${hex.slice(0, 11)}`,
    sizeBytes < 0 ? undefined : sizeBytes,
  );
  let done = 0;
  for await (const chunk of bytes) {
    done += chunk.length;
    progress.update(done);
    yield chunk;
  }
  progress.finish(done);
}
