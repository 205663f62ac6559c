// Paths against a map of their names, and names of every kind. Runs in the test process.

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { NO_PATH, PathTable, ROOT_PATH } from './path-table.ts';

// Few, so that they come again.
const name = fc.constantFrom('a', 'b', 'c');
const pathNames = fc.array(name, { minLength: 1, maxLength: 4 });

function find(table: PathTable, names: readonly string[]): number {
  return names.reduce((at, each) => (at === NO_PATH ? NO_PATH : table.find(at, each)), ROOT_PATH);
}

describe('the table of paths', () => {
  it('has what was linked and not removed since', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('link', 'unlink', 'empty'), pathNames)), (steps) => {
        const table = new PathTable();
        const model = new Set<string>();
        for (const [step, names] of steps) {
          const path = names.join('/');
          const below = (each: string): boolean => each.startsWith(`${path}/`);
          if (step === 'link') {
            names.reduce((at, each) => table.link(at, each), ROOT_PATH);
            for (let depth = 1; depth <= names.length; depth += 1) model.add(names.slice(0, depth).join('/'));
          } else {
            const at = find(table, names);
            assert.equal(at !== NO_PATH, model.has(path));
            if (at === NO_PATH) continue;
            if (step === 'unlink') table.unlink(at);
            else table.empty(at);
            for (const each of model) if (below(each)) model.delete(each);
            if (step === 'unlink') model.delete(path);
          }
        }
        const found: string[] = [];
        const stack = [ROOT_PATH];
        for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
          for (const child of table.children(at)) {
            assert.equal(table.parent(child), at);
            found.push(table.name(child));
            stack.push(child);
          }
        }
        assert.deepEqual(found.sort(), [...model].sort());
      }),
      { numRuns: runs(300) },
    );
  });
  it('keeps every one of many names apart, in more than one page of them', () => {
    const table = new PathTable();
    const names = Array.from({ length: 50_000 }, (_, index) =>
      `${index}`.padStart(1 + (index % 255), '\xff'),
    );
    const directory = table.link(ROOT_PATH, 'd');
    const paths = names.map((each) => table.link(directory, each));
    assert.equal(new Set(paths).size, names.length);
    for (const [index, each] of names.entries()) {
      assert.equal(table.find(directory, each), paths[index]);
      assert.equal(table.find(ROOT_PATH, each), NO_PATH);
    }
    assert.equal(table.name(paths[49_999] as number), `d/${names[49_999]}`);
    assert.equal([...table.children(directory)].length, names.length);
  });
});
