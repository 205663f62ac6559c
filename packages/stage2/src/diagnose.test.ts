import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';

import { diagnoseDirectory, diagnoseExecutable } from './diagnose.ts';

describe('diagnosis of a program that does not start', () => {
  let root = '';
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'rkt-diagnose-'));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const add = (name: string, content: string | Buffer, mode = 0o755): void => {
    writeFileSync(join(root, name), content);
    chmodSync(join(root, name), mode);
  };
  const diagnose = (name: string): string | undefined =>
    diagnoseExecutable(name, (file) => openSync(join(root, file), 'r'));

  it('names a missing file, whatever its name', () => {
    assert.equal(diagnose('/no such'), 'Error: Unable to open "/no such": No such file or directory');
  });

  it('says that a file or directory is not executable', () => {
    add('text', '#!/bin/sh\n', 0o644);
    mkdirSync(join(root, 'dir'), { recursive: true });
    assert.equal(diagnose('/text'), 'Error: "/text" is not executable');
    assert.equal(diagnose('/dir'), 'Error: "/dir" is not executable');
  });

  it('says why nobody can start in a directory', () => {
    const directory = (name: string): string | undefined =>
      diagnoseDirectory(name, (file) => openSync(join(root, file), 'r'));
    add('plain', '', 0o644);
    assert.equal(directory('/'), undefined);
    assert.equal(directory('/none'), 'Error: Unable to change to "/none": No such file or directory');
    assert.equal(directory('/plain'), 'Error: Unable to change to "/plain": Not a directory');
  });

  it('follows scripts to what is missing', () => {
    add('one', '#! /two -x\n');
    add('two', '#!/missing');
    assert.equal(diagnose('/one'), 'Error: Unable to open "/missing": No such file or directory');
    add('empty', '#!\n');
    assert.equal(diagnose('/empty'), 'Error: Unable to determine interpreter for "/empty"');
    add('relative', '#!sh\n');
    assert.equal(diagnose('/relative'), 'Error: Path must be absolute: "sh"');
    add('loop', '#!/loop\n');
    assert.equal(diagnose('/loop'), 'Error: Excessive interpreter recursion, giving up');
  });

  it('names the loader of a dynamic program that the root lacks', function () {
    if (process.arch !== 'x64') this.skip();
    const message = diagnoseExecutable('/node', (file) =>
      file === '/node' ? openSync(process.execPath, 'r') : openSync(join(root, file), 'r'),
    );
    assert.match(
      message ?? '',
      /^Error: Unable to open "\/lib.*\/ld-linux.*\.so\.\d+": No such file or directory$/,
    );
  });

  it('finds nothing wrong with programs that start', () => {
    assert.equal(diagnoseExecutable(process.execPath), undefined);
    assert.equal(diagnoseExecutable('/bin/sh'), undefined);
  });

  it('knows other files by their lack of a form', () => {
    add('other', 'hello');
    assert.equal(diagnose('/other'), 'Error: Unsupported file type');
    add('nothing', '');
    assert.equal(diagnose('/nothing'), 'Error: Unsupported file type');
  });

  it('survives any ELF file', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        add('elf', Buffer.concat([Buffer.from('\x7fELF\x02\x01', 'latin1'), bytes]));
        const message = diagnose('/elf');
        assert.ok(message === undefined || message.startsWith('Error: '));
      }),
    );
  });
});
