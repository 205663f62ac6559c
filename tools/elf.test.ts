// The ELF reader against readelf's facts about programs that are here anyway. Runs in mocha.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readElf, withoutSections } from './elf.ts';

describe('elf', () => {
  it('reads what a program links', () => {
    const elf = readElf(process.execPath);
    assert.equal(elf?.interpreter, '/lib64/ld-linux-x86-64.so.2');
    assert.ok(elf.needed.includes('libc.so.6'));
    assert.ok(elf.needed.includes('libstdc++.so.6'));
    assert.deepEqual(elf.runpath, []);
  });

  it('is undefined for anything else', () => {
    assert.equal(readElf(import.meta.filename), undefined);
  });

  it('cuts off what is not loaded, and the program still runs', function () {
    const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-elf-'));
    try {
      const whole = fs.readFileSync('/bin/true');
      const trimmed = withoutSections(whole);
      assert.ok(trimmed.length < whole.length);
      const file = path.join(work, 'true');
      fs.writeFileSync(file, trimmed, { mode: 0o755 });
      execFileSync(file);
    } finally {
      fs.rmSync(work, { recursive: true });
    }
  });
});
