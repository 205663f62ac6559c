// Manifests of schema 1: the only kind of registries before 2016 (the `2.1` path of contract stage0 5.3). Pure; runs in
// stage0.

import { quote } from '@rkt/diagnostics/quote';

import { parseDigest } from './digest.ts';
import { refuse } from './errors.ts';
import { readImageConfig } from './image-config.ts';
import { type Fields, parseFields } from './json-fields.ts';
import type { DockerReference, LegacyImage, OciConfig, OciLayer } from './oci-image.ts';

/** What a manifest of schema 1 says. */
export interface Schema1Image {
  readonly config: OciConfig;
  /** Base first. */
  readonly layers: readonly OciLayer[];
  readonly legacy: LegacyImage;
}

/** One element of `history`: its own copy of the image config, and its place in the chain. */
interface V1Layer {
  readonly id: string;
  readonly parent: string;
  readonly fields: Fields;
  readonly blob: string;
}

/**
 * The bytes that the digest of a manifest of schema 1 is about: without the signatures that were put into it (libtrust's
 * "pretty" JWS). The signatures say nothing about who made the image and are not checked.
 * @throws DockerError `bad-image`
 */
export function schema1Payload(bytes: Buffer, where: string): Buffer {
  const [signature] = parseFields(bytes, where).objects('signatures');
  if (signature === undefined) return bytes;
  const header = parseFields(Buffer.from(signature.text('protected'), 'base64url'), `${where}: signature`);
  const length = header.optionalCount('formatLength');
  if (length === undefined || length > bytes.length) return refuse('bad-image', `${where}: bad signature`);
  return Buffer.concat([bytes.subarray(0, length), Buffer.from(header.text('formatTail'), 'base64url')]);
}

/** @throws DockerError `bad-image`, also when it is the manifest of another image */
export function readSchema1(
  fields: Fields,
  { repository, tag, digest }: Pick<DockerReference, 'repository' | 'tag' | 'digest'>,
  where: string,
): Schema1Image {
  const [name, named] = [fields.text('name'), fields.text('tag')];
  if (name !== repository) refuse('bad-image', `${where} is that of ${quote(name)}`);
  if (digest === undefined && tag !== undefined && named !== tag) {
    refuse('bad-image', `${where} is that of tag ${quote(named)}`);
  }
  const chain = withoutRepeats(readChain(fields, where));
  checkChain(chain, where);
  const [top] = chain;
  if (top === undefined) return refuse('bad-image', `${where} has no layers`);
  const comment = top.fields.text('comment');
  return {
    config: readImageConfig(top.fields),
    layers: chain.map(({ blob }) => schema1Layer(blob)).reverse(),
    legacy: {
      schema: '2.1',
      id: top.id,
      ...(top.parent !== '' && { parent: top.parent }),
      ...(comment !== '' && { comment }),
    },
  };
}

function schema1Layer(digest: string): OciLayer {
  const mediaType = 'application/vnd.docker.container.image.rootfs.diff+x-gtar';
  return { digest, mediaType, sizeBytes: -1, compression: 'gzip' };
}

// Top first, as it is written.
function readChain(fields: Fields, where: string): V1Layer[] {
  const blobs = fields.objects('fsLayers').map((layer) => layer.text('blobSum'));
  const history = fields.objects('history').map((entry) => entry.text('v1Compatibility'));
  if (blobs.length !== history.length) {
    refuse('bad-image', `${where} has ${blobs.length} layers, but ${history.length} entries in its history`);
  }
  return history.map((text, at) => {
    const place = `${where}: history[${at}]`;
    const layer = parseFields(Buffer.from(text), place);
    const id = layer.text('id');
    if (!/^[0-9a-f]{64}$/.test(id)) refuse('bad-image', `${where}: bad layer ID ${quote(id)}`);
    return {
      id,
      parent: layer.text('parent'),
      fields: layer,
      blob: parseDigest(blobs[at] ?? '', `${where}: fsLayers[${at}]`).text,
    };
  });
}

// Old versions of docker wrote the same layer twice.
function withoutRepeats(chain: readonly V1Layer[]): V1Layer[] {
  return chain.filter(({ id }, at) => at === 0 || id !== chain[at - 1]?.id);
}

function checkChain(chain: readonly V1Layer[], where: string): void {
  const seen = new Set<string>();
  for (const [at, { id, parent }] of chain.entries()) {
    if (seen.has(id)) refuse('bad-image', `${where}: layer ${id} is there twice`);
    seen.add(id);
    const below = chain[at + 1]?.id ?? '';
    if (parent === below) continue;
    if (below === '') refuse('bad-image', `${where}: the base layer ${id} has the parent ${quote(parent)}`);
    refuse('bad-image', `${where}: the parent of layer ${id} is ${quote(parent)} instead of ${below}`);
  }
}
