// ACI files (contract stage0 3.7).

import assert from 'node:assert/strict';

import { aciLayout, classifyEntry, detectCompression, hasAciExtension } from './aci.ts';

describe('detectCompression', () => {
  const tar = new Uint8Array(512);
  tar.set(Buffer.from('ustar'), 257);
  it('goes by the first bytes', () => {
    const of = (hex: string): string => detectCompression(Buffer.from(hex, 'hex'));
    assert.equal(of('1f8b08'), 'gzip');
    assert.equal(of('425a68'), 'bzip2');
    assert.equal(of('fd377a585a00'), 'xz');
    assert.equal(of('28b52ffd'), 'zstd');
    assert.equal(detectCompression(tar), 'none');
  });
  it('refuses anything else, also short files', () => {
    for (const bytes of [new Uint8Array(), Buffer.from('{}'), new Uint8Array(512), tar.subarray(0, 261)]) {
      assert.throws(() => detectCompression(bytes), {
        code: 'bad-aci',
        message: 'error: unknown image filetype',
      });
    }
  });
});

describe('classifyEntry', () => {
  it('cleans the name first', () => {
    for (const name of ['manifest', './manifest', 'x/../manifest']) {
      assert.deepEqual(classifyEntry(name), { kind: 'manifest' });
    }
    const paths = {
      rootfs: '/',
      './rootfs/': '/',
      'rootfs/etc/passwd': '/etc/passwd',
      'rootfs//a/./b/../c': '/a/c',
      'rootfs/...': '/...',
    };
    for (const [name, path] of Object.entries(paths)) {
      assert.deepEqual(classifyEntry(name), { kind: 'rootfs', path });
    }
  });
  it('puts everything else outside', () => {
    for (const name of [
      '',
      '.',
      '/',
      '/manifest',
      '/rootfs/a',
      'manifest/',
      'manifest/x',
      'rootfs/../etc',
      'rootfs/../../etc/passwd',
      '../rootfs/a',
      'rootfsx',
      'Manifest',
    ]) {
      assert.deepEqual(classifyEntry(name), { kind: 'outside' }, name);
    }
  });
});

describe('aciLayout', () => {
  const check = (...entries: [name: string, isDirectory?: boolean][]): void => {
    const layout = aciLayout();
    for (const [name, isDirectory = false] of entries) layout.entry(name, isDirectory);
    layout.finish();
  };
  it('wants a manifest, a rootfs directory, and each path once', () => {
    check(['manifest'], ['rootfs', true], ['rootfs/a'], ['rootfs/b', true]);
    assert.throws(() => check(['rootfs', true]), { message: 'missing manifest' });
    assert.throws(() => check(['manifest']), { message: 'missing rootfs' });
    assert.throws(() => check(['manifest'], ['rootfs']), { message: 'rootfs is not a directory' });
    assert.throws(() => check(['manifest'], ['./manifest']), /duplicate file entry in image: ".\/manifest"/);
    assert.throws(() => check(['rootfs/a'], ['rootfs/b/../a']), /duplicate file entry/);
    assert.throws(() => check(['etc/passwd']), /unrecognized file path in image: "etc\/passwd"/);
  });
});

describe('hasAciExtension', () => {
  it('looks at the last component', () => {
    for (const path of ['a.aci', '/x/.aci', 'a.b.aci']) assert.equal(hasAciExtension(path), true);
    for (const path of ['a.tar', 'a.aci/b', 'aci', 'a.ACI', '']) assert.equal(hasAciExtension(path), false);
  });
});
