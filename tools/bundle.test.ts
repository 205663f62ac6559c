// What the start-up budgets rest on: a bundle evaluates nothing that was not imported. Runs in mocha.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bundle } from './bundle.ts';

const SOURCES: Readonly<Record<string, string>> = {
  'main.ts': `
    import { light } from './light.ts';
    console.log('main', light, typeof BUILD === 'undefined' ? 'no build' : BUILD.version);
    declare const BUILD: { version: string } | undefined;
    if (process.argv.includes('heavy')) void import('./heavy.ts').then(({ heavy }) => console.log(heavy()));`,
  'light.ts': `console.log('light evaluated'); export const light = 'L';`,
  'heavy.ts': `
    import { gunzipSync } from 'node:zlib';
    import { deep } from './deep.ts';
    import { light } from './light.ts';
    console.log('heavy evaluated');
    export const heavy = (): string => light + deep + typeof gunzipSync;`,
  'deep.ts': `console.log('deep evaluated'); export const deep = 'D';`,
};

describe('a bundle', () => {
  let work: string;
  let output: string;

  before(async () => {
    work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-bundle-'));
    for (const [name, text] of Object.entries(SOURCES)) fs.writeFileSync(path.join(work, name), text);
    output = path.join(work, 'out.cjs');
    await bundle({ entry: path.join(work, 'main.ts'), output, define: { BUILD: { version: '7' } } });
  });

  after(() => {
    fs.rmSync(work, { recursive: true });
  });

  const run = (...args: string[]): string[] =>
    execFileSync(process.execPath, [output, ...args], { encoding: 'utf8' })
      .trim()
      .split('\n');

  it('does not evaluate what is imported lazily, nor what that imports', () => {
    assert.deepEqual(run(), ['light evaluated', 'main L 7']);
  });

  it('evaluates it at the import, in order, and once', () => {
    assert.deepEqual(run('heavy'), [
      'light evaluated',
      'main L 7',
      'deep evaluated',
      'heavy evaluated',
      'LDfunction',
    ]);
  });

  it('has no import() left, which a script with a code cache could not run', () => {
    assert.doesNotMatch(fs.readFileSync(output, 'utf8'), /\bimport\(/);
  });

  it('says what a missing module is called', async () => {
    fs.writeFileSync(path.join(work, 'bad.ts'), `import './missing.ts';`);
    await assert.rejects(
      bundle({ entry: path.join(work, 'bad.ts'), output: path.join(work, 'bad.cjs') }),
      /Could not resolve ".\/missing.ts"/,
    );
  });
});
