// The order in which an image and what it depends on are laid over each other, and which of their files count
// (contract stage0 7.6, 11.4). Pure: finding images is stage0's. Runs in every process.

import { SpecError } from './errors.ts';

/** One image at its place in the order, the upper ones first. */
export interface RenderedImage<T> {
  readonly image: T;
  /** Distance from the image that is rendered. */
  readonly level: number;
}

/** More than this is no honest image: diamonds on top of each other double the list each time. */
const MOST_IMAGES = 1000;

/**
 * Flattens the dependencies of `root`: each image is followed by its own dependencies, the last one first.
 * The same image may appear several times.
 *
 * @param keyOf What makes two images the same, to find cycles.
 * @throws SpecError `bad-manifest` for a cycle or an absurd number of images.
 */
export function renderOrder<T>(
  root: T,
  dependenciesOf: (image: T) => readonly T[],
  keyOf: (image: T) => string,
): RenderedImage<T>[] {
  const order: RenderedImage<T>[] = [];
  const visit = (image: T, ancestors: readonly string[]): void => {
    const key = keyOf(image);
    if (ancestors.includes(key)) throw badTree(`dependency cycle: ${[...ancestors, key].join(' -> ')}`);
    if (order.length >= MOST_IMAGES) throw badTree(`image has more than ${MOST_IMAGES} dependencies`);
    order.push({ image, level: ancestors.length });
    for (const dependency of dependenciesOf(image).toReversed()) visit(dependency, [...ancestors, key]);
  };
  visit(root, []);
  return order;
}

/**
 * The whitelist the branch above `position` imposes on it, as the original walks back to the root; undefined
 * when there is none. (It also finds lists of earlier siblings; trees depend on that.)
 */
export function inheritedWhitelist<T>(
  order: readonly RenderedImage<T>[],
  position: number,
  whitelistOf: (image: T) => readonly string[] | undefined,
): readonly string[] | undefined {
  let whitelist: readonly string[] | undefined;
  let level = order[position]?.level ?? 0;
  for (const { image, level: above } of order.slice(0, position + 1).toReversed()) {
    const own = whitelistOf(image);
    if (above < level && own !== undefined && own.length > 0) whitelist = own;
    level = above;
  }
  return whitelist;
}

function badTree(message: string): SpecError {
  return new SpecError('bad-manifest', message);
}
