// Labels, annotations and the os/arch tables (contract stage0 3.2, 3.6).

import assert from 'node:assert/strict';

import { annotationValue, Annotations } from './annotations.ts';
import { decodeOrThrow } from './codec.ts';
import { checkOsArch, hostArch, hostOs, Labels, labelValue } from './labels.ts';
import type { Label } from './labels.ts';

const platform = (os: string, arch: string): Label[] => [
  { name: 'os', value: os },
  { name: 'arch', value: arch },
];

describe('Labels', () => {
  const read = (labels: unknown): readonly Label[] => decodeOrThrow(Labels, labels, '');
  it('keeps the order', () => {
    const labels = [...platform('linux', 'amd64'), { name: 'version', value: '1.0' }];
    assert.deepEqual(read(labels), labels);
  });
  it('refuses the name "name", duplicates and names outside the grammar', () => {
    assert.throws(() => read([{ name: 'name', value: 'x' }]), { message: '[0]: invalid label name: "name"' });
    assert.throws(() => read([...platform('linux', 'amd64'), { name: 'os', value: 'x' }]), {
      message: 'duplicate labels of name "os"',
    });
    assert.throws(() => read([{ name: 'A', value: 'x' }]), /\[0\]\.name: ACIdentifier must contain/);
    assert.throws(() => read([{ value: 'x' }]), /label name must be set/);
  });
  it('checks the os and arch pair against the standard', () => {
    read(platform('freebsd', 'arm'));
    assert.throws(() => read(platform('plan9', 'amd64')), {
      message: 'bad os "plan9" (must be one of: [darwin freebsd linux])',
    });
    assert.throws(() => read(platform('darwin', 'arm')), {
      message: 'bad arch "arm" for darwin (must be one of: [x86_64 i386])',
    });
    read([{ name: 'arch', value: 'anything without an os' }]);
  });
});

describe('checkOsArch', () => {
  it('knows what rkt runs', () => {
    checkOsArch(platform('linux', 'ppc64le'), 'rkt');
    checkOsArch(undefined, 'rkt');
    assert.throws(() => checkOsArch(platform('freebsd', 'amd64'), 'rkt'), {
      code: 'bad-platform',
      message: 'bad os "freebsd" (must be one of: [linux])',
    });
    assert.throws(() => checkOsArch(platform('linux', 's390x'), 'rkt'), {
      message:
        'bad arch "s390x" for linux (must be one of: [amd64 i386 aarch64 aarch64_be armv6l armv7l armv7b ppc64le])',
    });
    for (const os of ['__proto__', 'constructor', 'toString']) {
      assert.throws(() => checkOsArch(platform(os, 'amd64'), 'rkt'), { code: 'bad-platform' });
    }
  });
});

describe('lookups', () => {
  it('ignore case and survive missing lists', () => {
    assert.equal(labelValue([{ name: 'version', value: '1' }], 'Version'), '1');
    assert.equal(labelValue(undefined, 'version'), undefined);
    assert.equal(annotationValue([{ name: 'a/b', value: '1' }], 'a/B'), '1');
    assert.equal(annotationValue([], 'a'), undefined);
  });
});

describe('hostOs and hostArch', () => {
  it('are a pair of the standard here', () => {
    checkOsArch(platform(hostOs(), hostArch()), 'appc');
  });
  it('maps the names of node and Go', () => {
    const table = {
      x64: 'amd64',
      amd64: 'amd64',
      ia32: 'i386',
      '386': 'i386',
      arm64: 'aarch64',
      ppc64le: 'ppc64le',
    };
    for (const [node, appc] of Object.entries(table)) assert.equal(hostArch(node), appc);
    assert.match(hostArch('ppc64'), /^ppc64(?:le)?$/);
    for (const arch of ['s390x', 'riscv64']) assert.equal(hostArch(arch), arch);
    assert.equal(hostArch('arm', '7'), 'armv7l');
    assert.equal(hostArch('arm', 6), 'armv6l');
    assert.equal(hostArch('arm', undefined), 'armv6l');
  });
});

describe('Annotations', () => {
  const read = (name: string, value: string): unknown => decodeOrThrow(Annotations, [{ name, value }], '');
  it('check the ones that have a form', () => {
    read('created', '2017-01-02T03:04:05Z');
    read('authors', 'anybody <a@b>');
    assert.throws(() => read('created', 'yesterday'), /bad Date: "yesterday"/);
    assert.throws(() => read('homepage', 'example.com'), /bad URL scheme, must be http\/https/);
    assert.throws(() => read('documentation', 'file:///x'), /bad URL scheme, must be http\/https/);
  });
  it('are unique', () => {
    const twice = [
      { name: 'a', value: '1' },
      { name: 'a', value: '2' },
    ];
    assert.throws(() => decodeOrThrow(Annotations, twice, 'pod'), {
      message: 'pod: duplicate annotations of name "a"',
    });
  });
});
