// Image IDs (contract stage0 3.1, 10.5, 11.3).

import assert from 'node:assert/strict';

import { imageKey, isHash, listHash, parseHash, shortHash } from './image-id.ts';

const digits = 'ab12'.repeat(32);

describe('parseHash', () => {
  it('splits at the only dash and does not judge the value', () => {
    assert.deepEqual(parseHash('sha512-12341234'), { type: 'sha512', value: '12341234' });
    assert.deepEqual(parseHash('sha512-xyz'), { type: 'sha512', value: 'xyz' });
  });
  it('refuses other forms', () => {
    for (const text of ['', 'sha512', 'sha512-not-existed', 'sha512--']) {
      assert.throws(() => parseHash(text), /badly formatted hash string/);
      assert.equal(isHash(text), false);
    }
    assert.throws(() => parseHash('md5-ab'), { message: 'unrecognized hash type: md5' });
    assert.throws(() => parseHash('sha512-'), { message: 'unexpected empty hash value' });
    for (const text of ['md5-ab', 'sha512-']) assert.equal(isHash(text), false);
    assert.equal(isHash('sha512-0c45e8c0ab2'), true);
  });
});

describe('imageKey', () => {
  it('cuts a digest to 71 characters', () => {
    const key = `sha512-${digits.slice(0, 64)}`;
    assert.equal(key.length, 71);
    for (const text of [digits, `sha512-${digits}`, key]) assert.equal(imageKey(text), key);
    assert.equal(shortHash(key).length, 39);
    assert.equal(listHash(key).length, 19);
  });
  it('refuses what is no digest, so that a key is safe as a file name', () => {
    for (const text of [
      '',
      'sha512-ab',
      `sha256:${digits}`,
      `../${digits}`,
      digits.toUpperCase(),
      `${digits}/..`,
    ]) {
      assert.throws(() => imageKey(text), { code: 'bad-value' });
    }
  });
});
