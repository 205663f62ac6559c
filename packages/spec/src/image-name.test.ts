// Image names (contract stage0 4.2, 11.1).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { errorChain } from '@rkt/diagnostics/rkt-error';

import { SpecError } from './errors.ts';
import { formatImageName, parseImageName, withPlatform } from './image-name.ts';

const canonical = (text: string): string => formatImageName(parseImageName(text));

describe('parseImageName', () => {
  it('reads names, versions and labels', () => {
    assert.deepEqual(parseImageName('example.com/app01'), { name: 'example.com/app01', labels: [] });
    assert.deepEqual(parseImageName('some-image-name:v1.0.0'), {
      name: 'some-image-name',
      labels: [{ name: 'version', value: 'v1.0.0' }],
    });
    assert.deepEqual(parseImageName('example.com/app01:v1.0.0,label01=?&*/').labels, [
      { name: 'version', value: 'v1.0.0' },
      { name: 'label01', value: '?&*/' },
    ]);
    assert.deepEqual(parseImageName('name:f6432b72').labels, [{ name: 'version', value: 'f6432b72' }]);
    assert.deepEqual(parseImageName('a,b=c=d').labels, [{ name: 'b', value: 'c=d' }]);
  });
  it('refuses with a reason', () => {
    const reasons = {
      'example.com/app,channel=beta:1.2': /malformed app string - colon may appear/,
      'example.com/app:1:2': /malformed app string - colon may appear/,
      'example.com/app:1,version=2': /label version with multiple values/,
      'example.com/app,foo': /has a label without a value/,
      'example.com/app,name=x': /invalid label name: "name"/,
      'example.com/app,A=x': /ACIdentifier must contain/,
      'not an app name': /ACIdentifier must contain/,
      '': /ACIdentifier cannot be empty/,
    };
    for (const [text, reason] of Object.entries(reasons)) {
      assert.throws(
        () => parseImageName(text),
        (error: SpecError) => {
          assert.equal(error.code, 'bad-image-name');
          assert.ok(error.message.startsWith(`invalid appc image string "${text}": `), error.message);
          return reason.test(error.message);
        },
      );
    }
  });
});

describe('formatImageName', () => {
  it('puts version, os and arch first and sorts the rest', () => {
    assert.equal(canonical('a,z=1,arch=amd64,b=2,os=linux,version=3'), 'a:3,os=linux,arch=amd64,b=2,z=1');
    assert.equal(canonical('a'), 'a');
  });
  it('is a fixed point, and parsing fails only as a bad image name', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[a-c]+(:[a-c]*)?(,[a-c]+=[a-c=/]*){0,3}$/),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const once = canonical(text);
          assert.equal(canonical(once), once);
        } catch (error) {
          assert.ok(error instanceof SpecError && error.code === 'bad-image-name');
        }
      }),
    );
  });
});

describe('withPlatform', () => {
  it('adds what is missing', () => {
    assert.equal(
      formatImageName(withPlatform(parseImageName('a'), 'linux', 'amd64')),
      'a,os=linux,arch=amd64',
    );
    assert.equal(
      formatImageName(withPlatform(parseImageName('a,arch=i386'), 'linux', 'amd64')),
      'a,os=linux,arch=i386',
    );
  });
  it('refuses what rkt does not run', () => {
    assert.throws(
      () => withPlatform(parseImageName('a:1,os=freebsd'), 'linux', 'amd64'),
      (error) => {
        assert.deepEqual(
          errorChain(error).map(({ message }) => message),
          ['invalid Appc distribution "a:1,os=freebsd"', 'bad os "freebsd" (must be one of: [linux])'],
        );
        return true;
      },
    );
  });
});
