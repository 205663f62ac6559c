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
import { fullDockerReference } from '../reference.ts';
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
  for (const endpoint of endpointsOf(reference, options.mirrors)) {
    if (!endpoint.isMirror) return await openAt(endpoint, reference, options);
    try {
      return await openAt(endpoint, reference, options);
    } catch (error) {
      if (hasCode(error, 'unchanged')) throw error;
      options.logger.info(`mirror ${endpoint.host}: ${printable((error as Error).message)}`);
    }
  }
  return refuse('registry', `no registry for ${fullDockerReference(reference)}`);
}

async function openAt(
  endpoint: Endpoint,
  reference: DockerReference,
  options: RegistryImageOptions,
): Promise<OciImage> {
  const client = await connect(endpoint, options);
  if (client !== undefined) return await openVersion2(client, reference, options);
  if (endpoint.isMirror)
    return refuse('registry', `${endpoint.host} does not speak version 2 of the registry protocol`);
  const { openVersion1 } = await import('./version1.ts');
  return await openVersion1(endpoint, reference, options);
}

async function openVersion2(
  client: RegistryClient,
  reference: DockerReference,
  options: RegistryImageOptions,
): Promise<OciImage> {
  const loaded = await loadImage(manifestsOf(client, reference), { reference, ...options });
  const streams = new Set<BlobStream>();
  return {
    ...loaded,
    reference,
    source: 'registry',
    openLayer: (layer) => openLayer(client, layer, streams, options),
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
  { patience }: RegistryImageOptions,
): Promise<LayerStream> {
  const digest = parseDigest(layer.digest, 'layer');
  const path = `blobs/${digest.text}`;
  const source = {
    url: client.url(path),
    open: (offset: number): ReturnType<RegistryClient['get']> =>
      client.get(path, offset === 0 ? {} : { Range: `bytes=${offset}-` }),
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

// As docker shows it: the first eleven digits.
async function* shown(
  bytes: AsyncIterable<Uint8Array>,
  { digest, sizeBytes }: OciLayer,
): AsyncGenerator<Uint8Array, void, undefined> {
  const [algorithm = '', hex = ''] = digest.split(':');
  const progress = new Progress(
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
