// Archives as `docker save` writes them, with one or more images (docker image spec v1.2, "combined image JSON"). Runs
// in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { parseGoJson } from '@rkt/spec/go-json';

import { checkDigest, parseDigest, sha256Of } from './digest.ts';
import { DockerError, refuse } from './errors.ts';
import { digestOf, type FileTree, readSmall } from './file-tree.ts';
import { parseImageConfig } from './image-config.ts';
import { Fields } from './json-fields.ts';
import { localImage } from './local-image.ts';
import { localReference, namedReference } from './local-reference.ts';
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from './manifest.ts';
import { sniffCompression } from './media-types.ts';
import type { DockerReference, OciConfig, OciImage, OciLayer } from './oci-image.ts';
import { fullDockerReference, parseDockerReference } from './reference.ts';

/** Which image of which archive. */
export interface ArchiveRequest {
  readonly file: string;
  /** A docker reference, or `@N` for the image at place N. */
  readonly reference?: string;
  /** The argument as typed. */
  readonly text: string;
}

interface SavedImage {
  readonly config: string;
  readonly tags: readonly string[];
  /** Base first. */
  readonly layers: readonly string[];
}

/** Takes over `tree`. Such images have no manifest: they are known by the digest of their config. @throws DockerError */
export async function openDockerArchive(tree: FileTree, request: ArchiveRequest): Promise<OciImage> {
  try {
    const image = chooseImage(readManifest(tree), request, tree);
    const bytes = readSmall(tree, image.config, MAX_CONFIG_BYTES);
    const what = `${tree.where}: ${quote(image.config)}`;
    checkName(image.config, bytes, what);
    const config = parseImageConfig(bytes, what);
    const files = new Map<OciLayer, string>();
    for (const [at, file] of image.layers.entries()) files.set(await readLayer(tree, config, at, file), file);
    if (config.rootfs.diffIds.length !== files.size) {
      refuse(
        'bad-image',
        `${what}: ${config.rootfs.diffIds.length} diff_ids, but the image has ${files.size} layers`,
      );
    }
    return localImage(
      { manifestDigest: sha256Of(bytes), config, layers: [...files.keys()] },
      {
        reference: referenceOf(image, request),
        source: 'docker-archive',
        tree,
        fileOf: (layer) => files.get(layer) ?? '',
      },
    );
  } catch (error) {
    tree.close();
    throw error;
  }
}

function readManifest(tree: FileTree): SavedImage[] {
  const where = `${tree.where}: manifest.json`;
  const bytes = readSmall(tree, 'manifest.json', MAX_MANIFEST_BYTES);
  let list: unknown;
  try {
    list = parseGoJson(bytes.toString('utf8'), where);
  } catch (error) {
    throw new DockerError('bad-image', (error as Error).message);
  }
  if (!Array.isArray(list)) return refuse('bad-image', `${where} is not a list`);
  return list.map((item, at) => {
    const fields = new Fields(item, `${where}: [${at}]`);
    return { config: fields.text('Config'), tags: fields.texts('RepoTags'), layers: fields.texts('Layers') };
  });
}

function chooseImage(
  images: readonly SavedImage[],
  { reference }: ArchiveRequest,
  { where }: FileTree,
): SavedImage {
  const found =
    reference === undefined ? images : images.filter((image, at) => isNamed(image, at, reference));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const tags = images.flatMap((image) => image.tags).slice(0, 20);
  const available = tags.length === 0 ? `${images.length} without tags` : tags.map(quote).join(', ');
  if (reference !== undefined) {
    return refuse('not-found', `${where} has no image ${quote(reference)}, only ${available}`);
  }
  throw new DockerError('not-found', `${where} has ${images.length} images: ${available}`, {
    hint: 'add the reference to the argument: FILE:REF, or FILE:@0 for the first',
  });
}

function isNamed({ tags }: SavedImage, at: number, reference: string): boolean {
  if (/^@[0-9]+$/.test(reference)) return Number(reference.slice(1)) === at;
  const wanted = fullDockerReference(parseDockerReference(reference));
  return tags.some((tag) => {
    const named = namedReference(tag, tag);
    return named !== undefined && fullDockerReference(named) === wanted;
  });
}

// The file of a config is named by its digest, in old archives with an extension.
function checkName(file: string, bytes: Buffer, what: string): void {
  const hex = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(file)?.[1];
  if (hex === undefined) return;
  checkDigest(bytes, parseDigest(`sha256:${hex}`, what), what);
}

// Layers are plain archives, whose digest is the diff ID, unless somebody compressed them: then nobody tells the digest
// of what is stored, and it is taken here.
async function readLayer(tree: FileTree, { rootfs }: OciConfig, at: number, name: string): Promise<OciLayer> {
  const file = tree.open(name);
  if (file === undefined) return refuse('not-found', `${tree.where} has no ${quote(name)}`);
  const compression = sniffCompression(file.read(0, 4));
  const diffId = rootfs.diffIds[at] ?? '';
  const mediaType = `application/vnd.docker.image.rootfs.diff.tar${compression === 'none' ? '' : `.${compression}`}`;
  const stored = compression === 'none' ? diffId : await digestOf(file);
  file.close();
  return { digest: stored, mediaType, sizeBytes: file.sizeBytes, diffId, compression };
}

function referenceOf({ tags }: SavedImage, { file, reference, text }: ArchiveRequest): DockerReference {
  const name = reference === undefined || reference.startsWith('@') ? tags[0] : reference;
  return (
    (name === undefined ? undefined : namedReference(name, text)) ?? localReference(file, undefined, text)
  );
}
