// Rendering order and whitelists (contract stage0 7.6, 11.4).

import assert from 'node:assert/strict';

import { inheritedWhitelist, renderOrder } from './dependency-order.ts';
import type { RenderedImage } from './dependency-order.ts';

const order = (tree: Record<string, string[]>, root = 'A'): RenderedImage<string>[] =>
  renderOrder(
    root,
    (image) => tree[image] ?? [],
    (image) => image,
  );
const print = (rendered: RenderedImage<string>[]): string =>
  rendered.map(({ image, level }) => image + level).join(' ');

describe('renderOrder', () => {
  it('follows each image by its dependencies, the last one first', () => {
    assert.equal(print(order({ A: ['B', 'C'], C: ['D'] })), 'A0 C1 D2 B1');
    assert.equal(print(order({ A: ['B', 'C'], B: ['D', 'E'] })), 'A0 C1 B1 E2 D2');
  });
  it('lists shared images each time', () => {
    assert.equal(print(order({ A: ['B', 'C'], B: ['D'], C: ['D'] })), 'A0 C1 D2 B1 D2');
  });
  it('refuses cycles and towers of diamonds', () => {
    assert.throws(() => order({ A: ['B'], B: ['A'] }), { message: 'dependency cycle: A -> B -> A' });
    assert.throws(() => order({ A: ['A'] }), { message: 'dependency cycle: A -> A' });
    const tower = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`${i}`, [`${i + 1}`, `${i + 1}`]]),
    );
    assert.throws(() => order(tower, '0'), { message: 'image has more than 1000 dependencies' });
  });
});

describe('inheritedWhitelist', () => {
  it('walks back to the root as the original does', () => {
    const rendered = order({ A: ['B', 'C'], C: ['D'] });
    const lists = rendered.map((_, position) =>
      inheritedWhitelist(rendered, position, (image) => (image === 'C' ? ['/c', '/d'] : undefined)),
    );
    assert.deepEqual(lists, [undefined, undefined, ['/c', '/d'], ['/c', '/d']]);
  });
  it('lets the list nearest to the root win and empty ones pass', () => {
    const rendered = order({ A: ['B'], B: ['C'] });
    const whitelists: Record<string, string[]> = { A: ['/a'], B: ['/b'], C: [] };
    assert.deepEqual(
      inheritedWhitelist(rendered, 2, (image) => whitelists[image]),
      ['/a'],
    );
    assert.deepEqual(
      inheritedWhitelist(rendered, 2, (image) => (image === 'A' ? [] : whitelists[image])),
      ['/b'],
    );
  });
});
