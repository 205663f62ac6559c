import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';

import { formatImageName } from '@rkt/spec/image-name';
import { imageArch } from '@rkt/testkit/manifests';
import { TempDir } from '@rkt/testkit/tmp';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { parseImageReference } from './parse.ts';

describe('image references', () => {
  const tmp = new TempDir('reference');
  after(() => tmp.remove());

  // Kind and canonical text.
  function parse(argument: string): string {
    const reference = parseImageReference(argument, tmp.path);
    switch (reference.kind) {
      case 'file':
        return `file ${reference.path}`;
      case 'url':
        return `url ${reference.url.href}`;
      case 'docker':
        return `docker ${reference.reference}`;
      case 'oci':
      case 'oci-archive':
        return `${reference.kind} ${reference.path} ${reference.tag ?? '-'}`;
      case 'docker-archive':
        return `${reference.kind} ${reference.path} ${reference.reference ?? '-'}`;
      case 'name':
        return `name ${formatImageName(reference.image)}`;
    }
  }
  const platform = `os=linux,arch=${imageArch()}`;

  it('are told apart as the contract does (11.1)', () => {
    const vectors: Record<string, string> = {
      'example.com/app01': `name example.com/app01,${platform}`,
      'example.com/app01:v1.0.0': `name example.com/app01:v1.0.0,${platform}`,
      'example.com/app01:v1.0.0,label01=?&*/': `name example.com/app01:v1.0.0,${platform},label01=?&*/`,
      'some-image-name': `name some-image-name,${platform}`,
      'some-image-name:v1.0.0': `name some-image-name:v1.0.0,${platform}`,
      'name:f6432b72': `name name:f6432b72,${platform}`,
      'sha512-0c45e8c0ab2': `name sha512-0c45e8c0ab2,${platform}`,
      'app.aci': `file ${tmp.join('app.aci')}`,
      './dir/file.aci': `file ${tmp.join('dir/file.aci')}`,
      '../x.aci': `file ${tmp.join('../x.aci')}`,
      '/abs/../file.aci': 'file /file.aci',
      'file:///abs/file.aci': 'file /abs/file.aci',
      'file:///with%20space.aci': 'file /with space.aci',
      'https://example.com/app.aci?x=y': 'url https://example.com/app.aci?x=y',
      'http://127.0.0.1:80/app.aci': 'url http://127.0.0.1/app.aci',
      'docker:busybox': 'docker busybox',
      'docker://busybox': 'docker busybox',
      'docker:myregistry.example.com:4000/busybox:1.0': 'docker myregistry.example.com:4000/busybox:1.0',
      'cimd:appc:v=0:coreos.com/etcd?version=v3.0.3': `name coreos.com/etcd:v3.0.3,${platform}`,
      'cimd:aci-archive:v=0:https%3A%2F%2Fexample.com%2Fa.aci': 'url https://example.com/a.aci',
      'cimd:docker:v=0:busybox': 'docker busybox',
      'oci:dir': `oci ${tmp.join('dir')} -`,
      'oci:/srv/images/x:1.0': 'oci /srv/images/x 1.0',
      'oci-archive:../x.tar:a:b': `oci-archive ${tmp.join('../x.tar')} a:b`,
      'docker-archive:x.tar': `docker-archive ${tmp.join('x.tar')} -`,
      'docker-archive:/x.tar:quay.io/acme/srv:1.2': 'docker-archive /x.tar quay.io/acme/srv:1.2',
    };
    for (const [argument, expected] of Object.entries(vectors))
      assert.equal(parse(argument), expected, argument);
  });

  it('that are wrong are refused with the reason', () => {
    const vectors: Record<string, RegExp> = {
      'example.com/app,channel=beta:1.2': /invalid appc image string .*colon may appear/,
      'example.com/app:1,version=2': /label version with multiple values/,
      'example.com/app:1:2': /colon may appear/,
      'example.com/app,foo': /has a label without a value/,
      'not an app name': /invalid appc image string "not an app name"/,
      'some/../with/./dots/file': new RegExp(
        `^RktError: invalid image string "file://${tmp.path}/with/dots/file"$`,
      ),
      '/abs/file.tar': /^RktError: invalid image string "file:\/\/\/abs\/file.tar"$/,
      'https://example.com/app': /^RktError: invalid image string "https:\/\/example.com\/app"$/,
      'http:///x.aci': /invalid image string/,
      'file:///a%00b.aci': /invalid image string/,
      'file:///a%zz.aci': /invalid image string/,
      'docker://': /invalid image string/,
      'cimd:foo:v=0:x': /^RktError: unknown distribution type: "foo"$/,
      'cimd:appc:v=1:x': /unsupported distribution version: "1"/,
      'cimd:appc': /invalid image string/,
      'example.com/app,os=freebsd': /invalid Appc distribution/,
      '': /invalid appc image string ""/,
    };
    for (const [argument, reason] of Object.entries(vectors)) {
      assert.throws(
        () => parse(argument),
        (error) => reason.test(String(error)),
        argument,
      );
    }
  });

  it('are paths when the file exists, but not when a directory does', () => {
    writeFileSync(tmp.join('coreos.com'), '');
    assert.throws(() => parse('coreos.com'), /invalid image string "file:/);
    mkdirSync(tmp.join('directory'));
    assert.equal(parse('directory'), `name directory,${platform}`);
  });

  it('never show a password', () => {
    const reference = parseImageReference('https://user:secret@example.com/a.aci', '/');
    assert.equal(reference.kind === 'url' && reference.text, 'https://user:***@example.com/a.aci');
  });

  it('never throw anything but refusals', () => {
    fc.assert(
      fc.property(fc.string(), (argument) => {
        try {
          parseImageReference(argument, '/nonexistent');
        } catch (error) {
          assert.equal((error as Error).name, 'RktError', String((error as Error).stack));
        }
      }),
      { numRuns: runs(1000) },
    );
  });
});
