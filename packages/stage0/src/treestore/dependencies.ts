// The images an image is made of, found in the store, in the order they cover each other (contract stage0 7.6).
// Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { wrap } from '@rkt/diagnostics/rkt-error';
import type { Dependency } from '@rkt/spec/dependency';
import { renderOrder } from '@rkt/spec/dependency-order';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { Label } from '@rkt/spec/labels';

/** One image of the list, the top image first. */
export interface Layer {
  readonly key: ImageKey;
  readonly manifest: ImageManifest;
  /** 0 for the top image, one more for each step down. */
  readonly level: number;
}

/** Finds images; the store does. */
export interface ImageLookup {
  resolveKey(hash: string): ImageKey;
  findByName(name: string, labels: readonly Label[]): ImageKey;
  readManifest(key: ImageKey): ImageManifest;
}

/**
 * The image and all it depends on.
 * @throws SpecError `bad-manifest` for a cycle or an absurd number of images, or what the lookup threw.
 */
export function flattenDependencies(top: ImageKey, store: ImageLookup): Layer[] {
  const found = (key: ImageKey): Omit<Layer, 'level'> => ({ key, manifest: store.readManifest(key) });
  const order = renderOrder(
    found(top),
    ({ manifest }) =>
      (manifest.dependencies ?? []).map((dependency) => found(lookUp(dependency, manifest, store))),
    ({ key }) => key,
  );
  return order.map(({ image, level }) => ({ ...image, level }));
}

function lookUp(dependency: Dependency, parent: ImageManifest, store: ImageLookup): ImageKey {
  try {
    return dependency.imageID === undefined
      ? store.findByName(dependency.imageName, dependency.labels ?? [])
      : store.resolveKey(dependency.imageID);
  } catch (error) {
    throw wrap(`cannot find dependency ${quote(dependency.imageName)} of image ${quote(parent.name)}`, error);
  }
}
