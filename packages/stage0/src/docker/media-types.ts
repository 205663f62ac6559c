// Media types of manifests and layers, of docker and of OCI. Pure; runs in stage0.

import type { OciLayer } from './oci-image.ts';

export const DOCKER_SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+json';
export const DOCKER_SCHEMA1_SIGNED = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** `artifactType` of the manifest of an image that is a stage1 (docs/decisions/0055). */
export const STAGE1_ARTIFACT = 'application/vnd.coreos.rkt.stage1.v1';

/** What we ask a registry for, best first. */
export const ACCEPTED_MANIFESTS: string = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1_SIGNED,
  DOCKER_SCHEMA1,
].join(', ');

export type ManifestKind = 'index' | 'manifest' | 'schema1';

const KINDS: ReadonlyMap<string, ManifestKind> = new Map([
  [OCI_INDEX, 'index'],
  [DOCKER_LIST, 'index'],
  [OCI_MANIFEST, 'manifest'],
  [DOCKER_MANIFEST, 'manifest'],
  [DOCKER_SCHEMA1, 'schema1'],
  [DOCKER_SCHEMA1_SIGNED, 'schema1'],
]);

/** What a media type, with or without parameters, says a manifest is; undefined when it says nothing. */
export function manifestKind(mediaType: string | undefined): ManifestKind | undefined {
  return KINDS.get(bareType(mediaType));
}

/** `a/b; charset=utf-8` -> `a/b`. */
export function bareType(mediaType: string | undefined): string {
  return (mediaType ?? '').replace(/;.*/s, '').trim().toLowerCase();
}

const LAYER_COMPRESSION: ReadonlyMap<string, OciLayer['compression']> = new Map([
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.container.image.rootfs.diff+x-gtar', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
]);

/** How a layer of this type is compressed; undefined when it is no layer of files. */
export function layerCompression(mediaType: string): OciLayer['compression'] | undefined {
  return LAYER_COMPRESSION.get(bareType(mediaType));
}

/** By the first bytes. */
export function sniffCompression(start: Uint8Array): OciLayer['compression'] {
  const bytes = Buffer.from(start.subarray(0, 4));
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'gzip';
  return bytes.equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd])) ? 'zstd' : 'none';
}
