// The images an image is made of, in the order they cover each other (contract stage0 7.6, 11.4). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import type { Dependency } from '@rkt/spec/dependency';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';

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
  findByName(name: string, labels: readonly { readonly name: string; readonly value: string }[]): ImageKey;
  readManifest(key: ImageKey): ImageManifest;
}

// No image of this world has more; a diamond of diamonds doubles with every level.
const MAX_LAYERS = 1000;

/**
 * The image and all it depends on. Directly after each image come its dependencies, the last one first.
 * @throws RktError `dependency-cycle`, `too-many-dependencies`, or what the lookup threw.
 */
export function flattenDependencies(top: ImageKey, store: ImageLookup): Layer[] {
  const layers: Layer[] = [{ key: top, manifest: store.readManifest(top), level: 0 }];
  for (let index = 0; index < layers.length; index += 1) {
    const layer = layers[index] as Layer;
    for (const dependency of layer.manifest.dependencies ?? []) {
      const key = lookUp(dependency, layer.manifest, store);
      if (branchAbove(layers, index).includes(key)) {
        throw new RktError('dependency-cycle', `image ${layer.manifest.name} depends on itself: ${key}`);
      }
      layers.splice(index + 1, 0, { key, manifest: store.readManifest(key), level: layer.level + 1 });
    }
    if (layers.length > MAX_LAYERS) {
      throw new RktError('too-many-dependencies', `image ${top} has more than ${MAX_LAYERS} dependencies`);
    }
  }
  return layers;
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

// Keys from the layer up to the top image: walking back, every step to a lower level is the parent.
function branchAbove(layers: readonly Layer[], index: number): ImageKey[] {
  const keys: ImageKey[] = [];
  let level = Infinity;
  for (let at = index; at >= 0; at -= 1) {
    const layer = layers[at] as Layer;
    if (layer.level >= level) continue;
    keys.push(layer.key);
    level = layer.level;
  }
  return keys;
}

/**
 * The whitelist that the images above lay upon the one at `position`; empty for none. Walks back the way Go rkt does,
 * which lets the whitelist of an inner image reach its later siblings: trees are named by what went into them, so both
 * programs must agree.
 */
export function effectiveWhitelist(layers: readonly Layer[], position: number): readonly string[] {
  let level = layers[position]?.level ?? 0;
  let found: readonly string[] = [];
  for (let index = position; index >= 0; index -= 1) {
    const layer = layers[index] as Layer;
    const whitelist = layer.manifest.pathWhitelist ?? [];
    if (layer.level < level && whitelist.length > 0) found = whitelist;
    level = layer.level;
  }
  return found;
}
