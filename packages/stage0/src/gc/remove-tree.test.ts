// Deleting what a container may have filled: links are not followed, mounts are not entered. Uses the real kernel.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { openKernel } from '@rkt/linux/libc';

import { removeTree } from './remove-tree.ts';

describe('removeTree', () => {
  let scratch: string;
  beforeEach(() => {
    scratch = mkdtempSync(path.join(tmpdir(), 'rkt-remove-'));
  });
  afterEach(() => rmSync(scratch, { recursive: true, force: true }));

  it('removes files, links and directories of any name, and nothing they point at', () => {
    const [outside, tree] = [path.join(scratch, 'outside'), path.join(scratch, 'tree')];
    mkdirSync(outside);
    writeFileSync(path.join(outside, 'keep'), 'x');
    mkdirSync(path.join(tree, 'a/b'), { recursive: true });
    writeFileSync(path.join(tree, 'a/b/f'), 'x');
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe])]), 'x');
    symlinkSync(outside, path.join(tree, 'link'));
    symlinkSync('nowhere', path.join(tree, 'a/dangling'));
    removeTree(openKernel(), tree);
    assert.equal(existsSync(tree), false);
    assert.equal(existsSync(path.join(outside, 'keep')), true);
  });

  it('is content when there is nothing to remove', () => {
    removeTree(openKernel(), path.join(scratch, 'nothing'));
    removeTree(openKernel(), path.join(scratch, 'nothing/at/all'));
  });

  it('stops at a mount, whose content stays', function () {
    if (process.getuid?.() !== 0) this.skip();
    const kernel = openKernel();
    const [volume, tree] = [path.join(scratch, 'volume'), path.join(scratch, 'tree')];
    mkdirSync(volume);
    writeFileSync(path.join(volume, 'precious'), 'x');
    mkdirSync(path.join(tree, 'data'), { recursive: true });
    kernel.mount(volume, path.join(tree, 'data'), null, 0x1000, null);
    try {
      assert.throws(() => removeTree(kernel, tree), { code: 'EXDEV' });
      assert.equal(existsSync(path.join(volume, 'precious')), true);
    } finally {
      kernel.umount2(path.join(tree, 'data'), 0);
    }
  });
});
