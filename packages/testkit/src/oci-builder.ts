// Images of the docker and OCI world, for tests: blobs in memory, written as layouts and archives. Runs in the test
// process.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { type AciFile, layerEntry } from './aci-builder.ts';
import { rawArchive, rawEntry } from './raw-tar.ts';

/** Compression of a layer. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** Bytes with their names. */
export interface OciBlob {
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
}

/** What an image is made of. */
export interface OciDescription {
  /** Files of each layer, base first. */
  readonly layers?: readonly (readonly AciFile[])[];
  readonly compression?: LayerCompression;
  /** Fields of the image config besides its rootfs. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly kind?: 'oci' | 'docker';
  /** Written over the manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
}

/** An image in memory. */
export interface BuiltOciImage {
  readonly manifest: OciBlob;
  readonly config: OciBlob;
  /** Base first, as stored. */
  readonly layers: readonly OciBlob[];
  /** Uncompressed. */
  readonly archives: readonly Buffer[];
}

const TYPES = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar',
    separator: '+',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar',
    separator: '.',
  },
} as const;

/** `sha256:` and the digest of `bytes`. */
export function sha256(bytes: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A blob of a JSON value, or of text as it is. */
export function jsonBlob(mediaType: string, value: unknown): OciBlob {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return { mediaType, bytes, digest: sha256(bytes) };
}

/** What a manifest says about a blob. */
export function descriptor(
  { mediaType, bytes, digest }: OciBlob,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return { mediaType, digest, size: bytes.length, ...more };
}

/** A layer's archive. */
export function layerArchive(files: readonly AciFile[]): Buffer {
  return rawArchive(files.map(layerEntry));
}

/** Builds an image. */
export function buildOciImage({
  layers = [[{ path: 'etc/hostname', content: 'test\n' }]],
  compression = 'gzip',
  config = {},
  kind = 'oci',
  manifest = {},
}: OciDescription = {}): BuiltOciImage {
  const types = TYPES[kind];
  const archives = layers.map(layerArchive);
  const suffix = compression === 'none' ? '' : `${types.separator}${compression}`;
  const blobs = archives.map((archive): OciBlob => {
    const bytes = compressLayer(archive, compression);
    return { mediaType: `${types.layer}${suffix}`, bytes, digest: sha256(bytes) };
  });
  const configBlob = jsonBlob(types.config, {
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: archives.map(sha256) },
    ...config,
  });
  return {
    manifest: jsonBlob(types.manifest, {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: descriptor(configBlob),
      layers: blobs.map((blob) => descriptor(blob)),
      ...manifest,
    }),
    config: configBlob,
    layers: blobs,
    archives,
  };
}

function compressLayer(archive: Buffer, compression: LayerCompression): Buffer {
  switch (compression) {
    case 'none':
      return archive;
    case 'gzip':
      return gzipSync(archive);
    case 'zstd':
      return zstdCompressSync(archive);
  }
}

/** An index of images by platform, e.g. `linux/arm64/v8`. */
export function buildIndex(
  images: readonly (readonly [platform: string, manifest: OciBlob])[],
  kind: 'oci' | 'docker' = 'oci',
): OciBlob {
  const manifests = images.map(([platform, manifest]) => {
    const [os, architecture, variant] = platform.split('/');
    return descriptor(manifest, { platform: { os, architecture, variant } });
  });
  return jsonBlob(TYPES[kind].index, { schemaVersion: 2, mediaType: TYPES[kind].index, manifests });
}

/** One image of a layout. */
export interface LayoutImage {
  readonly image: BuiltOciImage;
  readonly tag?: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Files of a layout by name, for directories and archives. */
export function layoutFiles(images: readonly LayoutImage[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>([['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')]]);
  const manifests = images.map(({ image, tag, platform }) => {
    for (const { digest, bytes } of [image.manifest, image.config, ...image.layers]) {
      files.set(`blobs/${digest.replace(':', '/')}`, bytes);
    }
    return descriptor(image.manifest, {
      ...(tag !== undefined && { annotations: { 'org.opencontainers.image.ref.name': tag } }),
      ...(platform !== undefined && { platform }),
    });
  });
  files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
  return files;
}

/** Files of an archive as `docker save` writes it. */
export function savedFiles(
  images: readonly { readonly image: BuiltOciImage; readonly tags?: readonly string[] }[],
): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const list = images.map(({ image, tags }) => {
    const config = `${image.config.digest.slice('sha256:'.length)}.json`;
    files.set(config, image.config.bytes);
    const layers = image.archives.map((archive) => {
      const name = `${sha256(archive).slice('sha256:'.length)}/layer.tar`;
      files.set(name, archive);
      return name;
    });
    return { Config: config, RepoTags: tags ?? null, Layers: layers };
  });
  files.set('manifest.json', Buffer.from(JSON.stringify(list)));
  return files;
}

/** Writes files below a new directory. */
export function writeFiles(directory: string, files: ReadonlyMap<string, Uint8Array>): string {
  for (const [name, bytes] of files) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), bytes);
  }
  return directory;
}

/** The files as a tar archive. */
export function tarOf(files: ReadonlyMap<string, Uint8Array>): Buffer {
  return rawArchive([...files].map(([name, bytes]) => rawEntry({ name }, bytes)));
}
