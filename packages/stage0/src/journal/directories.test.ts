// Where the files of a pod's journal are, whatever the pod has put there.

import assert from 'node:assert/strict';
import { closeSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';

import { procFdPath } from '@rkt/linux/safe-path';
import { type Stage1Root, stage1Root } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost } from '@rkt/pod-layout/stage1-paths';
import { TempDir } from '@rkt/testkit/tmp';

import { openMachineDirectories, openMachineDirectory } from './directories.ts';

const MACHINE = 'a'.repeat(32);

describe('directories of a journal', () => {
  let tmp: TempDir;
  let root: Stage1Root;
  let directory: string;
  beforeEach(() => {
    tmp = new TempDir('journal-directories');
    root = stage1Root(tmp.join('pod'));
    directory = onHost(root, JOURNAL_DIR);
  });
  afterEach(() => tmp.remove());

  const all = (): string[] => openMachineDirectories(root).map(pathOf).sort();
  const one = (): string | undefined => {
    const fd = openMachineDirectory(root, MACHINE);
    return fd === undefined ? undefined : pathOf(fd);
  };
  function pathOf(fd: number): string {
    const path = readlinkSync(procFdPath(fd));
    closeSync(fd);
    return path;
  }

  it('are those of all machines, or of one', () => {
    for (const machine of [MACHINE, 'b']) mkdirSync(`${directory}/${machine}`, { recursive: true });
    writeFileSync(`${directory}/file`, '');
    assert.deepEqual(all(), [`${directory}/${MACHINE}`, `${directory}/b`]);
    assert.equal(one(), `${directory}/${MACHINE}`);
  });
  it('may be missing', () => {
    assert.throws(all, { code: 'no-journal' });
    mkdirSync(root);
    assert.throws(all, { code: 'no-journal' });
    assert.equal(one(), undefined);
    mkdirSync(directory, { recursive: true });
    assert.deepEqual(all(), []);
    assert.equal(one(), undefined);
  });
  it('are not behind links', () => {
    const outside = tmp.join('outside');
    mkdirSync(`${outside}/${MACHINE}`, { recursive: true });
    mkdirSync(directory, { recursive: true });
    symlinkSync(outside, `${directory}/${MACHINE}`);
    assert.deepEqual(all(), []);
    assert.throws(one, { code: 'ELOOP' });
    root = stage1Root(tmp.join('other'));
    mkdirSync(`${root}/var/log`, { recursive: true });
    symlinkSync(outside, onHost(root, JOURNAL_DIR));
    assert.throws(all, { code: 'no-journal' });
    assert.throws(one, { code: 'ELOOP' });
  });
});
