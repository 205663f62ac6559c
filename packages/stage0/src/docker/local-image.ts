// Opens layers that are files of this machine. Runs in stage0.

import { type Digest, parseDigest, verified } from './digest.ts';
import { refuse } from './errors.ts';
import { chunksOf, type FileTree, type OpenFile } from './file-tree.ts';
import type { LoadedImage } from './load-image.ts';
import type { DockerReference, LayerStream, OciImage, OciLayer } from './oci-image.ts';

/** An image whose layers are in `tree`; `fileOf` tells where. Takes over `tree`. */
export function localImage(
  loaded: LoadedImage,
  {
    reference,
    source,
    tree,
    fileOf,
  }: {
    readonly reference: DockerReference;
    readonly source: OciImage['source'];
    readonly tree: FileTree;
    readonly fileOf: (layer: OciLayer, digest: Digest) => string;
  },
): OciImage {
  const open = new Set<OpenFile>();
  return {
    ...loaded,
    reference,
    source,
    openLayer: async (layer) => {
      const digest = parseDigest(layer.digest, 'layer');
      const file = tree.open(fileOf(layer, digest));
      if (file === undefined) return refuse('not-found', `${tree.where} has no layer ${digest.text}`);
      open.add(file);
      return layerStream(file, layer, digest, () => open.delete(file));
    },
    close: async () => {
      for (const file of open) file.close();
      tree.close();
    },
  };
}

/** The bytes of `file`, checked. Takes it over. */
export function layerStream(
  file: OpenFile,
  { sizeBytes }: OciLayer,
  digest: Digest,
  closed: () => void,
): LayerStream {
  const bytes = verified(chunksOf(file), { digest, sizeBytes, what: `layer ${digest.text}` });
  return {
    [Symbol.asyncIterator]: () => bytes,
    [Symbol.asyncDispose]: async () => {
      await bytes.return();
      file.close();
      closed();
    },
  };
}
