import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { saveUuid } from './uuid-file.ts';

const UUID = '7a6d5ba2-9c5b-4a6c-8e3f-0123456789ab';

describe('saveUuid', () => {
  let directory = '';
  let file = '';
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'rkt-uuid-file-'));
    file = path.join(directory, 'uuid');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('makes a file of 36 bytes that all may read, and nothing beside it', () => {
    saveUuid(file, UUID);
    assert.equal(readFileSync(file, 'utf8'), UUID);
    assert.equal(lstatSync(file).mode & 0o777, 0o644);
    assert.deepEqual(readdirSync(directory), ['uuid']);
  });

  it('gives a new file its name when it is whole', async () => {
    const events: string[] = [];
    const watcher = watch(directory, (event, name) => events.push(`${event} ${name ?? ''}`));
    saveUuid(file, UUID);
    await new Promise((resolve) => setTimeout(resolve, 50));
    watcher.close();
    assert.deepEqual(
      events.filter((event) => event.endsWith(' uuid')),
      ['rename uuid'],
    );
  });

  it('writes to what is there', () => {
    const target = path.join(directory, 'target');
    writeFileSync(target, 'longer than a UUID is: forty-five characters\n');
    symlinkSync('target', file);
    saveUuid(file, UUID);
    assert.equal(readFileSync(target, 'utf8'), UUID);
    assert.ok(lstatSync(file).isSymbolicLink());
  });

  it('leaves nothing where it fails', () => {
    assert.throws(() => saveUuid(path.join(directory, 'missing', 'uuid'), UUID), { code: 'ENOENT' });
    assert.deepEqual(readdirSync(directory), []);
  });
});
