// Whatever is built into the executables is named in NOTICE.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { readJson, workspaceRoot } from './workspace.ts';

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly nx?: { readonly tags?: readonly string[] };
}

/** Packages of the workspace that programs are built from. */
function shippedPackages(): Manifest[] {
  const packages = path.join(workspaceRoot, 'packages');
  return fs
    .readdirSync(packages)
    .map((name) => readJson<Manifest>(path.join(packages, name, 'package.json')))
    .filter(({ nx }) => nx?.tags?.includes('layer:test') !== true);
}

describe('NOTICE', () => {
  it('names every dependency', () => {
    const packages = shippedPackages();
    const ours = new Set(packages.map(({ name }) => name));
    const notice = fs.readFileSync(path.join(workspaceRoot, 'NOTICE'), 'utf8');
    const named = new Set(notice.split('\n').flatMap((line) => /^ {2}(\S+)/.exec(line)?.slice(1) ?? []));
    const missing = packages
      .flatMap(({ dependencies = {} }) => Object.keys(dependencies))
      .filter((name) => !ours.has(name) && !named.has(name));
    assert.deepEqual([...new Set(missing)], []);
  });
});
