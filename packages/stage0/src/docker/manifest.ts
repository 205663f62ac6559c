// Manifests and indexes (OCI image-spec manifest.md and image-index.md, docker manifest v2 schema 2). Pure; runs in
// stage0. What can be read in two ways is refused: who signs or scans an image must see the one that is run
// (GO-2022-0360).

import { printable, quote } from '@rkt/diagnostics/quote';

import { type Digest, parseDigest } from './digest.ts';
import { refuse } from './errors.ts';
import { type Fields, parseFields } from './json-fields.ts';
import { layerCompression, manifestKind, type ManifestKind } from './media-types.ts';
import type { OciLayer } from './oci-image.ts';

/** Larger ones are refused: no honest one is near. */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;
/** The same for image configs. */
export const MAX_CONFIG_BYTES: number = 8 * 1024 * 1024;
const MAX_LAYERS = 1000;

/** What one document says about another. Its digest has been checked for form. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly platform?: Platform;
  readonly annotations: ReadonlyMap<string, string>;
}

/** What an image runs on, in Go's words. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** A manifest, read. */
export type Manifest =
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] }
  | {
      readonly kind: 'manifest';
      readonly artifactType: string;
      readonly config: Descriptor;
      readonly layers: readonly OciLayer[];
    }
  | { readonly kind: 'schema1'; readonly fields: Fields };

/**
 * Reads a manifest.
 * @param declared The media type that came with it; types that say nothing about manifests count as none.
 * @throws DockerError `bad-image`, also when the document contradicts itself or `declared`
 */
export function parseManifest(bytes: Uint8Array, declared: string | undefined, where: string): Manifest {
  const fields = parseFields(bytes, where);
  const kind = kindOf(fields, declared, where);
  switch (kind) {
    case 'index':
      return { kind, manifests: readDescriptors(fields, 'manifests', where) };
    case 'manifest':
      return { kind, ...readImage(fields, where) };
    case 'schema1':
      return { kind, fields };
  }
}

// Which keys only one kind has.
const SHAPES: readonly (readonly [kind: ManifestKind, key: string])[] = [
  ['index', 'manifests'],
  ['manifest', 'layers'],
  ['manifest', 'config'],
  ['schema1', 'fsLayers'],
];

function kindOf(fields: Fields, declared: string | undefined, where: string): ManifestKind {
  const shapes = SHAPES.filter(([, key]) => fields.has(key));
  const claims = new Set<ManifestKind>(shapes.map(([kind]) => kind));
  const version = fields.optionalCount('schemaVersion');
  if (version !== undefined && version !== 1 && version !== 2)
    refuse('bad-image', `${where}: schemaVersion ${version}`);
  const written = fields.optionalText('mediaType');
  const writtenKind = manifestKind(written);
  if (written !== undefined && writtenKind === undefined) {
    refuse('bad-image', `${where}: media type ${quote(written)} is not that of an image`);
  }
  const declaredKind = manifestKind(declared);
  for (const claim of [writtenKind, declaredKind]) if (claim !== undefined) claims.add(claim);
  const [kind, ...others] = claims;
  if (kind === undefined) return refuse('bad-image', `${where} is not an image manifest`);
  if (others.length > 0) {
    refuse('bad-image', `${where} is ambiguous: it could be read as ${[...claims].join(' and as ')}`);
  }
  if (version !== undefined && (kind === 'schema1') !== (version === 1)) {
    refuse('bad-image', `${where} is ambiguous: schemaVersion ${version} of ${kind}`);
  }
  return kind;
}

function readImage(
  fields: Fields,
  where: string,
): { artifactType: string; config: Descriptor; layers: OciLayer[] } {
  const config = fields.optionalObject('config');
  if (config === undefined) return refuse('bad-image', `${where} has no config`);
  const layers = readDescriptors(fields, 'layers', where);
  if (layers.length > MAX_LAYERS) refuse('bad-image', `${where} has ${layers.length} layers`);
  return {
    artifactType: fields.text('artifactType'),
    config: readDescriptor(config, `${where}: config`),
    layers: layers.map(({ digest, mediaType, sizeBytes }) => {
      const compression = layerCompression(mediaType);
      if (compression === undefined) {
        return refuse('bad-image', `${where}: layer of media type ${quote(mediaType)} is not a file system`);
      }
      return { digest: digest.text, mediaType, sizeBytes, compression };
    }),
  };
}

function readDescriptors(fields: Fields, key: string, where: string): Descriptor[] {
  return fields.objects(key).map((item, at) => readDescriptor(item, `${where}: ${key}[${at}]`));
}

// `urls` of foreign layers are not even read (CVE-2020-15157).
function readDescriptor(fields: Fields, where: string): Descriptor {
  const sizeBytes = fields.optionalCount('size');
  if (sizeBytes === undefined) refuse('bad-image', `${where} has no size`);
  const platform = fields.optionalObject('platform');
  return {
    mediaType: fields.text('mediaType'),
    digest: parseDigest(fields.text('digest'), where),
    sizeBytes,
    ...(platform !== undefined && { platform: readPlatform(platform) }),
    annotations: fields.textMap('annotations'),
  };
}

function readPlatform(fields: Fields): Platform {
  const variant = fields.text('variant');
  return {
    os: fields.text('os'),
    architecture: fields.text('architecture'),
    ...(variant !== '' && { variant }),
  };
}

/** `linux/arm64/v8`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return printable([os, architecture, ...(variant === undefined ? [] : [variant])].join('/'));
}
