// Layers on top of each other, by entries alone. Runs in the test process.

import assert from 'node:assert/strict';

import { type LayerEntry, madeEntry } from './layer-entries.ts';
import { type EntrySource, type MergedEntry, MergedTree } from './merged-tree.ts';
import { whiteoutOf } from './whiteout.ts';

type Line = `${'f' | 'd'} ${string}` | `${'h' | 'l'} ${string} ${string}`;

const TYPES = { f: 'file', d: 'directory', h: 'hardlink', l: 'symlink' } as const;

function layer(...lines: readonly Line[]): LayerEntry[] {
  return lines.map((line, offset) => {
    const [kind, path = '', link = ''] = line.split(' ');
    const type = TYPES[kind as keyof typeof TYPES];
    return {
      path,
      target: type === 'hardlink' ? link : '',
      offset,
      storedBytes: 0,
      entry: madeEntry(type, 0o644, Buffer.from(link)),
    };
  });
}

/** Merges; positions are those in the arrays. */
function merged(layers: readonly LayerEntry[][], maxEntries = 1000): MergedEntry[] {
  const at = ({ layer: number, position }: EntrySource): LayerEntry =>
    layers[number]?.[position] as LayerEntry;
  const tree = new MergedTree({ read: at, maxEntries });
  for (const [number, each] of layers.entries())
    tree.apply({ entries: () => each.entries(), at: (position) => at({ layer: number, position }) });
  return [...tree.entries()];
}

/** `PATH@LAYER` of what is left, in order. `layer` is where the content is, `-` for directories without an entry. */
function merge(...layers: readonly LayerEntry[][]): string[] {
  return merged(layers).map(({ path, source }) => `${path}@${source?.layer ?? '-'}`);
}

describe('merged layers', () => {
  it('lets upper layers win, and starts with them', () => {
    assert.deepEqual(merge(layer('f a', 'f b'), layer('f c', 'f a')), ['c@1', 'a@1', 'b@0']);
  });
  it('puts directories before what is in them', () => {
    assert.deepEqual(merge(layer('d d', 'f d/a'), layer('f d/b')), ['d@0', 'd/b@1', 'd/a@0']);
    assert.deepEqual(merge(layer('f x/y/z')), ['x@-', 'x/y@-', 'x/y/z@0']);
  });
  it('takes away what a whiteout names, and everything below it', () => {
    assert.deepEqual(merge(layer('d d', 'f d/a', 'f e'), layer('f .wh.d')), ['e@0']);
    assert.deepEqual(merge(layer('d d', 'f d/a', 'f d/b'), layer('f d/.wh.a')), ['d@0', 'd/b@0']);
  });
  it('ignores whiteouts of what is not there', () => {
    assert.deepEqual(merge(layer('f a'), layer('f .wh.b', 'f no/such/.wh.c', 'f a/.wh.d')), ['a@0']);
  });
  it('refuses whiteouts that name nothing or lead out', () => {
    for (const name of ['.wh.', 'd/.wh.', '.wh..', '.wh...', 'd/.wh.../x'])
      assert.throws(() => merge(layer(`f ${name}`)), { code: 'unsafe-entry' }, name);
  });
  it('keeps what the layer of the whiteout brings, wherever it stands', () => {
    assert.deepEqual(merge(layer('f a', 'd d', 'f d/x'), layer('f a', 'f .wh.a')), ['a@1', 'd@0', 'd/x@0']);
    assert.deepEqual(merge(layer('d d', 'f d/x'), layer('f d/y', 'f .wh.d')), ['d@0', 'd/y@1']);
  });
  it('empties opaque directories', () => {
    assert.deepEqual(
      merge(layer('d d', 'f d/x', 'd d/e', 'f d/e/y'), layer('d d', 'f d/.wh..wh..opq', 'f d/z')),
      ['d@1', 'd/z@1'],
    );
    assert.deepEqual(merge(layer('d d', 'f d/x'), layer('f d/z', 'f d/.wh..wh..opq')), ['d@0', 'd/z@1']);
    assert.deepEqual(merge(layer('f a', 'd d'), layer('f .wh..wh..opq')), []);
  });
  it('replaces directories by links and files, and back', () => {
    assert.deepEqual(merge(layer('d d', 'f d/x'), layer('l d e')), ['d@1']);
    assert.deepEqual(merge(layer('l d e'), layer('d d', 'f d/x')), ['d@1', 'd/x@1']);
    assert.deepEqual(merge(layer('d d', 'f d/x'), layer('f d'), layer('d d')), ['d@2']);
  });
  it('writes through links of the image, and never out of it', () => {
    assert.deepEqual(merge(layer('d usr', 'd usr/lib', 'l lib usr/lib'), layer('f lib/x')), [
      'usr@0',
      'usr/lib@0',
      'usr/lib/x@1',
      'lib@0',
    ]);
    assert.deepEqual(merge(layer('l up ../../..', 'l etc /etc2'), layer('f up/x', 'f etc/y')), [
      'x@1',
      'etc2@-',
      'etc2/y@1',
      'up@0',
      'etc@0',
    ]);
    assert.throws(() => merge(layer('l a b', 'l b a'), layer('f a/x')), { code: 'unsafe-entry' });
    assert.throws(() => merge(layer('f a'), layer('f a/x')), /a is needed as a directory but is none/);
  });
  it('keeps a file whose first name is gone', () => {
    assert.deepEqual(merge(layer('f a'), layer('h b a'), layer('f .wh.a')), ['b@0']);
    assert.deepEqual(merge(layer('f a', 'h b a'), layer('f a')), ['a@1', 'b@0']);
    assert.deepEqual(merge(layer('f a', 'h b a', 'h b a')), ['a@0', 'b@0']);
  });
  it('refuses hard links to what is not there, or to directories', () => {
    assert.throws(() => merge(layer('h b a')), { code: 'bad-archive' });
    assert.throws(() => merge(layer('f a'), layer('f .wh.a', 'h b a')), { code: 'bad-archive' });
    assert.throws(() => merge(layer('d d'), layer('h b d')), { code: 'unsafe-entry' });
  });
  it('names the first of several names', () => {
    const firsts = merged([layer('f a', 'h b a'), layer('h c b')]).map(
      ({ path, firstName }) => `${path} ${firstName}`,
    );
    assert.deepEqual(firsts, ['c undefined', 'a c', 'b c']);
  });
  it('forgets what a directory held that is replaced and made again', () => {
    assert.deepEqual(merge(layer('d d', 'd d/e', 'f d/e/x'), layer('f .wh.d'), layer('d d/e')), [
      'd@-',
      'd/e@2',
    ]);
    assert.deepEqual(merge(layer('f a', 'd d', 'f d/x'), layer('h d a'), layer('f .wh.d', 'f d/y')), [
      'd@-',
      'd/y@2',
      'a@0',
    ]);
  });
  it('removes trees of any depth', () => {
    const deep = Array.from({ length: 60 }, () => 'a').join('/');
    const lines = Array.from({ length: 300 }, (_, index): Line[] => [
      `f ${index === 0 ? '' : `l${index - 1}/`}${deep}/x`,
      `l l${index} ${index === 0 ? '' : `l${index - 1}/`}${deep}`,
    ]);
    assert.deepEqual(merged([layer(...lines.slice(0, 250).flat()), layer('f .wh..wh..opq')], 100_000), []);
  });
  it('counts directories that only names imply', () => {
    assert.throws(() => merged([layer('f a/b/c/d/e/f/g/h/i/j/k')], 4), { code: 'limit-exceeded' });
    assert.equal(merged([layer('f a/b/c/d')], 4).length, 4);
  });
});

describe('whiteouts', () => {
  it('are told by their names', () => {
    assert.equal(whiteoutOf('a/b'), undefined);
    assert.equal(whiteoutOf('a/x.wh.b'), undefined);
    assert.deepEqual(whiteoutOf('a/.wh.b'), { kind: 'path', path: 'a/b' });
    assert.deepEqual(whiteoutOf('.wh.b'), { kind: 'path', path: 'b' });
    assert.deepEqual(whiteoutOf('.wh.a/b'), { kind: 'path', path: 'a/b' });
    assert.deepEqual(whiteoutOf('a/.wh..wh..opq'), { kind: 'opaque', path: 'a' });
    assert.deepEqual(whiteoutOf('.wh..wh..opq'), { kind: 'opaque', path: '' });
    assert.deepEqual(whiteoutOf('.wh..wh.plnk/1'), { kind: 'path', path: '.wh.plnk/1' });
  });
});
