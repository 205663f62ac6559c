// The files of the keystore: which count for an image, and which are refused (contract stage0 6.1, 6.2).

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { prefixKeysDir, rootKeysDir } from '@rkt/pod-layout/trusted-keys';
import { TempDir } from '@rkt/testkit/tmp';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { addKey } from './add-key.ts';
import { type Keystore, openKeystore } from './keystore.ts';

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)] as const;

describe('keystore', () => {
  let tmp: TempDir;
  let system: string;
  let local: string;
  let keystore: Keystore;
  beforeEach(() => {
    tmp = new TempDir('keystore');
    [system, local] = [tmp.join('system'), tmp.join('local')];
    keystore = openKeystore({ systemConfig: system, localConfig: local });
  });
  afterEach(() => tmp.remove());

  const put = (directory: string, fingerprint: string, content: string): string => {
    mkdirSync(directory, { recursive: true });
    const file = path.join(directory, fingerprint);
    writeFileSync(file, content);
    return file;
  };
  const found = (name: string): string[] =>
    keystore.keyFilesFor(name).map(({ content }) => content.toString());
  const refused = (message: RegExp): void =>
    assert.throws(() => keystore.keyFilesFor('example.com/a'), { code: 'unsafe-key-file', message });

  it('is empty when no directory exists', () => {
    assert.deepEqual(found('example.com/a'), []);
    assert.equal(keystore.hasPrefixKeys('example.com/a'), false);
  });
  it('has root keys for every name, and prefix keys for the names below', () => {
    addKey(keystore, undefined, A, Buffer.from('root'));
    addKey(keystore, 'example.com/web', B, Buffer.from('web'));
    assert.deepEqual(found('example.com/web'), ['root', 'web']);
    assert.deepEqual(found('example.com/web/sub'), ['root', 'web']);
    for (const name of ['example.com', 'example.com/webapp', 'example.com/we', 'example.org/web', 'foo.com'])
      assert.deepEqual(found(name), ['root'], name);
  });
  it('takes exactly the keys of the components a name starts with', () => {
    const names = fc.array(fc.constantFrom('a', 'b', 'ab', 'a.b'), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(names, names, (prefix, name) => {
        rmSync(local, { recursive: true, force: true });
        addKey(keystore, prefix.join('/'), A, Buffer.from('key'));
        const expected = prefix.every((component, index) => name[index] === component);
        assert.equal(found(name.join('/')).length, expected ? 1 : 0);
        assert.equal(keystore.hasPrefixKeys(name.join('/')), expected);
      }),
      { numRuns: runs(200) },
    );
  });
  it('writes with the modes of the contract, whatever the umask', () => {
    const before = process.umask(0o077);
    let file: string;
    try {
      file = addKey(keystore, 'example.com/a', A, Buffer.from('key'));
    } finally {
      process.umask(before);
    }
    assert.equal(file, path.join(local, 'trustedkeys/prefix.d/example.com/a', A));
    assert.equal(statSync(file).mode & 0o7777, 0o644);
    for (let directory = path.dirname(file); directory !== tmp.path; directory = path.dirname(directory)) {
      assert.equal(statSync(directory).mode & 0o7777, 0o755, directory);
    }
    assert.deepEqual(readdirSync(path.join(local, 'trustedkeys')), ['prefix.d']);
  });
  it('replaces a key by a newer copy of it', () => {
    addKey(keystore, 'example.com', A, Buffer.from('old'));
    addKey(keystore, 'example.com', A, Buffer.from('new'));
    assert.deepEqual(found('example.com/a'), ['new']);
  });
  it('loads system root, local root, system prefix, local prefix: later ones replace and mask', () => {
    put(rootKeysDir(system), A, 'system root');
    put(rootKeysDir(local), A, 'local root');
    assert.deepEqual(found('example.com'), ['local root']);
    put(prefixKeysDir(system) + '/example.com', A, 'system prefix');
    assert.deepEqual(found('example.com'), ['system prefix']);
    const mask = put(prefixKeysDir(local) + '/example.com', A, '');
    assert.deepEqual(found('example.com'), []);
    assert.deepEqual(found('example.org'), ['local root']);
    writeFileSync(mask, 'local prefix');
    assert.deepEqual(found('example.com'), ['local prefix']);
  });
  it('does not count a mask as a key for the prefix, nor a root key', () => {
    put(rootKeysDir(local), A, 'root');
    put(prefixKeysDir(local) + '/example.com', A, '');
    assert.equal(keystore.hasPrefixKeys('example.com'), false);
    put(prefixKeysDir(system) + '/example.com', B, 'key');
    assert.equal(keystore.hasPrefixKeys('example.com/below'), true);
  });
  it('never leaves its directory, whatever an image is called', () => {
    addKey(keystore, 'example.com', A, Buffer.from('key'));
    addKey(keystore, 'example.com/x', B, Buffer.from('other'));
    put(tmp.join('outside'), B, 'outside');
    assert.deepEqual(found('example.com/../../../../outside'), ['key']);
    assert.deepEqual(found('example.com/./x'), ['key']);
    assert.deepEqual(found('example.com//x'), ['key']);
    for (const name of ['..', '../outside', '/outside', '']) assert.deepEqual(found(name), []);
  });
  it('does not take a key file for a directory when an image is called like one', () => {
    addKey(keystore, 'example.com', A, Buffer.from('key'));
    assert.deepEqual(found(`example.com/${A}/x`), ['key']);
  });
  it('refuses prefixes that are no image names', () => {
    for (const prefix of ['../up', 'example.com/../../x', '/abs', 'Example.com', 'a//b', '']) {
      assert.throws(
        () => addKey(keystore, prefix, A, Buffer.from('key')),
        /ACIdentifier|cannot be the beginning/,
        prefix,
      );
    }
    assert.deepEqual(readdirSync(tmp.path), []);
  });

  describe('refuses', () => {
    const directory = (): string => path.join(prefixKeysDir(local), 'example.com');
    it('a file that everybody can write', () => {
      chmodSync(put(directory(), A, 'key'), 0o666);
      refused(/can be written by everybody/);
    });
    it('an empty file that everybody can write: whoever wrote it masks a key', () => {
      chmodSync(put(directory(), A, ''), 0o646);
      refused(/can be written by everybody/);
    });
    it('a directory that everybody can write, wherever it is above the key', () => {
      put(directory(), A, 'key');
      for (const each of [directory(), prefixKeysDir(local), path.join(local, 'trustedkeys'), local]) {
        chmodSync(each, 0o777);
        refused(/can be written by everybody/);
        chmodSync(each, 0o755);
      }
      assert.deepEqual(found('example.com/a'), ['key']);
    });
    it('a symbolic link to a key', () => {
      const file = put(directory(), A, 'key');
      renameSync(file, tmp.join('elsewhere'));
      symlinkSync(tmp.join('elsewhere'), file);
      refused(/is a symbolic link/);
    });
    it('a symbolic link to a directory of keys', () => {
      put(tmp.join('elsewhere'), A, 'key');
      mkdirSync(prefixKeysDir(local), { recursive: true });
      symlinkSync(tmp.join('elsewhere'), directory());
      refused(/is not a directory/);
      assert.throws(() => addKey(keystore, 'example.com', B, Buffer.from('key')), {
        code: 'unsafe-key-file',
      });
      assert.deepEqual(readdirSync(tmp.join('elsewhere')), [A]);
    });
    it('a file that is not named after a fingerprint', () => {
      put(directory(), `${A}~`, 'key');
      refused(/is not named after the fingerprint/);
    });
    it('a file that no key can be as large as', () => {
      put(directory(), A, 'x'.repeat(4 * 1024 * 1024 + 1));
      refused(/is larger than/);
    });
  });
  it('allows a configuration directory that is a symbolic link', () => {
    addKey(keystore, 'example.com', A, Buffer.from('key'));
    symlinkSync(local, tmp.join('link'));
    const linked = openKeystore({ systemConfig: system, localConfig: tmp.join('link') });
    assert.equal(linked.keyFilesFor('example.com').length, 1);
    assert.equal(readFileSync(addKey(linked, 'example.com', B, Buffer.from('b')), 'utf8'), 'b');
  });
});
