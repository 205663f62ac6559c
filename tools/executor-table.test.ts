// docs/executor.md says which test asserts what: every test it names must be there. Runs in the mocha process.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { workspaceRoot } from './workspace.ts';

const TABLE = path.join(workspaceRoot, 'docs/executor.md');
const SUITES = path.join(workspaceRoot, 'e2e/suites');

/** Where a suite of the table stands: `guest/NAME` is one of the machine with systemd. */
function suiteFile(suite: string): string {
  return path.join(SUITES, suite.startsWith('guest/') ? '..' : '', `${suite}.test.ts`);
}

/** Tests named in `text`: `` `suite`: title; title `` in a cell of a table, several such parts behind one another. */
function namedTests(text: string): { readonly suite: string; readonly title: string }[] {
  const cells = text.split('\n').flatMap((line) => (line.startsWith('|') ? line.split('|') : []));
  return cells.flatMap((cell) =>
    [...cell.matchAll(/`([a-z0-9/-]+)`: ((?:(?! `[a-z0-9/-]+`: ).)*)/g)].flatMap(
      ([, suite = '', titles = '']) =>
        titles.split(';').flatMap((title) => (title.trim() === '' ? [] : [{ suite, title: title.trim() }])),
    ),
  );
}

/** Patterns of the titles in a suite's source; what is filled in at run time fits any text. */
function titlePatterns(source: string): RegExp[] {
  const calls = source.matchAll(/\b(?:it|describe|\w*[sS]uite)\(\s*(['"`])((?:\\.|(?!\1)[^])*?)\1/g);
  return [...calls].map(([, , title = '']) => {
    const parts = title.split(/\$\{[^}]*\}/).map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`);
  });
}

describe('docs/executor.md', () => {
  const named = namedTests(fs.readFileSync(TABLE, 'utf8'));

  it('names tests in plenty', () => assert.ok(named.length > 80, String(named.length)));

  for (const suite of new Set(named.map((each) => each.suite))) {
    it(`names tests of ${suite} that are there`, () => {
      const patterns = titlePatterns(fs.readFileSync(suiteFile(suite), 'utf8'));
      const missing = named.filter(
        (each) => each.suite === suite && !patterns.some((pattern) => pattern.test(each.title)),
      );
      assert.deepEqual(missing, []);
    });
  }
});
