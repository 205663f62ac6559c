// OCI image layouts, in directories and in archives (OCI image-spec image-layout.md). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { checkDigest, type Digest } from './digest.ts';
import { DockerError, refuse } from './errors.ts';
import { type FileTree, readSmall } from './file-tree.ts';
import { parseFields } from './json-fields.ts';
import { loadImage, type ManifestSource } from './load-image.ts';
import { localImage } from './local-image.ts';
import { localReference, namedReference } from './local-reference.ts';
import { type Descriptor, MAX_MANIFEST_BYTES, parseManifest, type Platform } from './manifest.ts';
import { OCI_INDEX } from './media-types.ts';
import type { DockerReference, OciImage } from './oci-image.ts';

/** The tag of an image in a layout. */
const REF_NAME = 'org.opencontainers.image.ref.name';
/** The whole reference, as containerd writes it beside the tag. */
const FULL_NAME = 'io.containerd.image.name';
const MAX_LISTED = 20;

/** Which image of which layout. */
export interface LayoutRequest {
  /** The directory or archive, as the user knows it. */
  readonly file: string;
  readonly tag?: string;
  /** The argument as typed. */
  readonly text: string;
}

/** Takes over `tree`. @throws DockerError */
export async function openLayout(
  tree: FileTree,
  source: 'oci' | 'oci-archive',
  request: LayoutRequest,
  wanted: { readonly platform: Platform; readonly known?: string },
): Promise<OciImage> {
  try {
    checkVersion(tree);
    const candidates = chooseImages(tree, request);
    const reference = referenceOf(candidates, request);
    const loaded = await loadImage(manifestsOf(tree, candidates), { reference, ...wanted });
    return localImage(loaded, { reference, source, tree, fileOf: (_layer, digest) => blobName(digest) });
  } catch (error) {
    tree.close();
    throw error;
  }
}

function checkVersion(tree: FileTree): void {
  const name = 'oci-layout';
  const where = `${tree.where}: ${name}`;
  const version = parseFields(readSmall(tree, name, MAX_MANIFEST_BYTES), where).text('imageLayoutVersion');
  if (!version.startsWith('1.')) refuse('bad-image', `${where} is of version ${quote(version)}`);
}

// One image may be there for several platforms, under the same tag or without any.
function chooseImages(tree: FileTree, { tag }: LayoutRequest): readonly Descriptor[] {
  const where = `${tree.where}: index.json`;
  const index = parseManifest(readSmall(tree, 'index.json', MAX_MANIFEST_BYTES), OCI_INDEX, where);
  if (index.kind !== 'index') return refuse('bad-image', `${where} is not an index`);
  const tags = new Set(index.manifests.map((manifest) => manifest.annotations.get(REF_NAME)));
  if (tag === undefined) {
    if (tags.size > 1) {
      throw new DockerError('not-found', `${tree.where} has several images: ${listed(tags)}`, {
        hint: 'add the tag to the argument: DIR:TAG',
      });
    }
    if (tags.size === 0) refuse('not-found', `${tree.where} has no image`);
    return index.manifests;
  }
  if (!tags.has(tag)) {
    refuse('not-found', `${tree.where} has no image ${quote(tag)}, only ${listed(tags)}`);
  }
  return index.manifests.filter((manifest) => manifest.annotations.get(REF_NAME) === tag);
}

function listed(tags: ReadonlySet<string | undefined>): string {
  const names = [...tags].map((tag) => (tag === undefined ? 'one without a tag' : quote(tag.slice(0, 128))));
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : '';
  return names.length === 0 ? 'none' : `${names.slice(0, MAX_LISTED).join(', ')}${more}`;
}

function referenceOf([first]: readonly Descriptor[], { file, text }: LayoutRequest): DockerReference {
  const tag = first?.annotations.get(REF_NAME);
  const full = first?.annotations.get(FULL_NAME) ?? (tag?.includes('/') === true ? tag : undefined);
  return (full === undefined ? undefined : namedReference(full, text)) ?? localReference(file, tag, text);
}

function manifestsOf(tree: FileTree, candidates: readonly Descriptor[]): ManifestSource {
  const blob = ({ digest }: Descriptor, maxBytes: number): Buffer =>
    readSmall(tree, blobName(digest), maxBytes);
  return {
    where: tree.where,
    root: async () => candidates,
    manifest: async (descriptor) => {
      const what = `manifest ${descriptor.digest.text} in ${tree.where}`;
      const bytes = blob(descriptor, MAX_MANIFEST_BYTES);
      checkDigest(bytes, descriptor.digest, what);
      return { bytes, mediaType: descriptor.mediaType, what };
    },
    blob: async (descriptor, maxBytes) => blob(descriptor, maxBytes),
  };
}

function blobName({ algorithm, hex }: Digest): string {
  return `blobs/${algorithm}/${hex}`;
}
