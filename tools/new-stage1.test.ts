// The start of a new stage1. Runs in the test process.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { TempDir } from '@rkt/testkit/tmp';
import { newStage1 } from './new-stage1.ts';
import { workspaceRoot } from './workspace.ts';

describe('new-stage1', () => {
  it('copies the example under a new name, once, and no name that is none', () => {
    using tmp = new TempDir('new-stage1');
    const example = 'packages/stage1-example';
    fs.cpSync(path.join(workspaceRoot, example), tmp.join(example), { recursive: true });
    fs.copyFileSync(path.join(workspaceRoot, 'tsconfig.json'), tmp.join('tsconfig.json'));
    const directory = newStage1('mine', tmp.path);
    const read = (file: string): string => fs.readFileSync(path.join(directory, file), 'utf8');
    assert.equal((JSON.parse(read('package.json')) as { name: string }).name, '@rkt/stage1-mine');
    assert.match(read('package.json'), /build\.ts mine"/);
    assert.match(read('package.json'), /sign\.ts mine"/);
    assert.equal((JSON.parse(read('abilities.json')) as { name: string }).name, 'mine');
    for (const file of ['package.json', 'aci/manifest.json', 'abilities.json'])
      assert.doesNotMatch(read(file), /example/, file);
    assert.equal(
      (JSON.parse(read('aci/manifest.json')) as { name: string }).name,
      'coreos.com/rkt/stage1-mine',
    );
    assert.ok(fs.existsSync(path.join(directory, 'src/bin/stage1.ts')));
    assert.match(fs.readFileSync(tmp.join('tsconfig.json'), 'utf8'), /packages\/stage1-mine"/);
    assert.throws(() => newStage1('mine', tmp.path), /exists/);
    assert.throws(() => newStage1('../up', tmp.path), /a name is/);
  });
});
