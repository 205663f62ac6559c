// From the name of an image to its layers, whatever holds it: index, manifest, config, each believed only when its
// digest is right. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { checkDigest, sha256Of } from './digest.ts';
import { refuse } from './errors.ts';
import { parseImageConfig, withDiffIds } from './image-config.ts';
import {
  type Descriptor,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseManifest,
  type Platform,
} from './manifest.ts';
import { bareType, STAGE1_ARTIFACT } from './media-types.ts';
import type { DockerReference, OciImage } from './oci-image.ts';
import { choosePlatform } from './platform.ts';
import { readSchema1 } from './schema1.ts';

/** A manifest as it came. */
export interface ManifestBytes {
  readonly bytes: Buffer;
  readonly mediaType: string | undefined;
  /** For messages. */
  readonly what: string;
}

/** Where manifests and small blobs are read. */
export interface ManifestSource {
  /** The image, for messages. */
  readonly where: string;
  /** What the name stands for: a manifest, or the same image for several platforms. */
  root(): Promise<ManifestBytes | readonly Descriptor[]>;
  /** What an index names; its digest is checked by the source. */
  manifest(descriptor: Descriptor): Promise<ManifestBytes>;
  /** At most `maxBytes`; not checked yet. */
  blob(descriptor: Descriptor, maxBytes: number): Promise<Buffer>;
}

const CONFIG_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
// Nobody needs an index of indexes of indexes.
const MAX_DEPTH = 3;

/** What all sources give. */
export type LoadedImage = Pick<OciImage, 'manifestDigest' | 'config' | 'layers' | 'legacy' | 'isStage1'>;

/** Which image. */
export interface LoadRequest {
  readonly reference: DockerReference;
  readonly platform: Platform;
  /** Digest of a manifest that is not wanted again: nothing is read behind it. */
  readonly known?: string;
}

/** @throws DockerError (`unchanged` for the manifest that is known), and what the source throws */
export async function loadImage(
  source: ManifestSource,
  { reference, platform, known }: LoadRequest,
): Promise<LoadedImage> {
  const root = await source.root();
  let found =
    'bytes' in root ? root : await chosenManifest(source, choosePlatform(root, platform, source.where));
  for (let depth = 0; ; depth += 1) {
    const manifest = parseManifest(found.bytes, found.mediaType, found.what);
    switch (manifest.kind) {
      case 'index': {
        if (depth === MAX_DEPTH) refuse('bad-image', `${source.where}: indexes in indexes`);
        const chosen = choosePlatform(manifest.manifests, platform, source.where);
        found = await chosenManifest(source, chosen);
        continue;
      }
      case 'manifest': {
        if (known !== undefined && known === sha256Of(found.bytes))
          refuse('unchanged', `${found.what} is known`);
        const config = await readConfig(source, manifest.config, found.what);
        return {
          manifestDigest: sha256Of(found.bytes),
          config,
          layers: withDiffIds(manifest.layers, config, found.what),
          ...(manifest.artifactType === STAGE1_ARTIFACT && { isStage1: true }),
        };
      }
      case 'schema1':
        return {
          manifestDigest: sha256Of(found.bytes),
          ...readSchema1(manifest.fields, reference, found.what),
        };
    }
  }
}

async function chosenManifest(source: ManifestSource, chosen: Descriptor): Promise<ManifestBytes> {
  if (chosen.sizeBytes > MAX_MANIFEST_BYTES) {
    refuse('bad-image', `${source.where}: manifest of ${chosen.sizeBytes} bytes`);
  }
  const found = await source.manifest(chosen);
  if (found.bytes.length !== chosen.sizeBytes) {
    refuse('digest-mismatch', `${found.what} has ${found.bytes.length} bytes instead of ${chosen.sizeBytes}`);
  }
  // The index is what was trusted: what it calls a manifest must not be read as something else.
  return chosen.mediaType === '' ? found : { ...found, mediaType: chosen.mediaType };
}

async function readConfig(
  source: ManifestSource,
  descriptor: Descriptor,
  where: string,
): Promise<ReturnType<typeof parseImageConfig>> {
  const { digest, sizeBytes, mediaType } = descriptor;
  if (!CONFIG_TYPES.has(bareType(mediaType))) {
    refuse('bad-image', `${where} is not that of an image: its config is of type ${quote(mediaType)}`);
  }
  if (sizeBytes > MAX_CONFIG_BYTES) refuse('bad-image', `${where}: config of ${sizeBytes} bytes`);
  const bytes = await source.blob(descriptor, sizeBytes);
  const what = `config ${digest.text}`;
  if (bytes.length !== sizeBytes)
    refuse('digest-mismatch', `${what} ends after ${bytes.length} of ${sizeBytes} bytes`);
  checkDigest(bytes, digest, what);
  return parseImageConfig(bytes, what);
}
