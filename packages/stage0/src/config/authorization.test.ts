// Who gets which header (contract stage0 2.2, 2.4), and Amazon's own example of a signature.

import assert from 'node:assert/strict';

import { discoveryHeaders, downloadHeaders, guessAwsRegion } from './authorization.ts';
import type { AuthCredentials } from './config.ts';

const AMAZON: AuthCredentials = {
  type: 'aws',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: '',
};

const auth = new Map<string, AuthCredentials>([
  ['basic.com', { type: 'basic', user: 'u', password: 'p:w' }],
  ['oauth.com:8443', { type: 'oauth', token: 't' }],
  ['examplebucket.s3.amazonaws.com', AMAZON],
  ['bucket.s3.eu-west-1.amazonaws.com:8443', AMAZON],
  ['bucket.s3-us-west-2.amazonaws.com:443', AMAZON],
  ['minio.local', { ...AMAZON, region: 'eu-north-1' }],
]);

describe('downloadHeaders', () => {
  it('logs in over https only, at exactly the authority', () => {
    assert.deepEqual(downloadHeaders(auth, 'https://basic.com/x'), { Authorization: 'Basic dTpwOnc=' });
    assert.deepEqual(downloadHeaders(auth, 'https://oauth.com:8443/x'), { Authorization: 'Bearer t' });
    for (const url of [
      'http://basic.com/x',
      'https://basic.com:443/x',
      'https://oauth.com/x',
      'https://sub.basic.com/x',
      'https://evil.com/?https://basic.com/',
      'https://evil.com#@basic.com/',
    ]) {
      assert.deepEqual(downloadHeaders(auth, url), {}, url);
    }
  });
  it('signs as Amazon documents it', () => {
    const url = 'https://examplebucket.s3.amazonaws.com/?lifecycle';
    const headers = downloadHeaders(auth, url, { now: new Date('2013-05-24T00:00:00Z') });
    assert.equal(headers['X-Amz-Date'], '20130524T000000Z');
    assert.equal(
      headers['Authorization'],
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
        'SignedHeaders=host;x-amz-content-sha256;x-amz-date, ' +
        'Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    );
  });
  // The first two are examples of Amazon's own documentation; the others were made from canonical requests written by
  // hand after it.
  for (const [url, method, signature] of [
    [
      'https://examplebucket.s3.amazonaws.com/?lifecycle',
      'GET',
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ],
    [
      'https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J',
      'GET',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
    [
      'https://examplebucket.s3.amazonaws.com/dir/plain.aci',
      'HEAD',
      'a824ca1d511aa1456fdcd2d6488849a83d520052791d992da35a56f62af25d0a',
    ],
    [
      "https://bucket.s3.eu-west-1.amazonaws.com:8443/dir/a%20b%2Bc~d'().aci?versionId=3%2F4+x&a=1",
      'GET',
      'a38ac61585676e184cc41e84884200bb96714e3095ddd6a6c6bb542057c0b0f3',
    ],
    [
      'https://bucket.s3-us-west-2.amazonaws.com:443/x.aci',
      'GET',
      'cd82b7f95f145c03eba8a1c8d45e5817ab582f31a10d2b39a746996475f6b129',
    ],
  ] as const) {
    it(`signs ${method} ${url}`, () => {
      const headers = downloadHeaders(auth, url, { method, now: new Date('2013-05-24T00:00:00Z') });
      assert.equal(/Signature=(.*)$/.exec(headers['Authorization'] ?? '')?.[1], signature);
    });
  }
  it('signs for the region that is configured', () => {
    assert.match(downloadHeaders(auth, 'https://minio.local/x')['Authorization'] ?? '', /\/eu-north-1\/s3\//);
  });
});

describe('discoveryHeaders', () => {
  it('logs in over any scheme, but not at aws', () => {
    assert.deepEqual(discoveryHeaders(auth, 'http://basic.com/x?ac-discovery=1'), {
      Authorization: 'Basic dTpwOnc=',
    });
    assert.deepEqual(discoveryHeaders(auth, 'https://examplebucket.s3.amazonaws.com/x'), {});
  });
});

describe('guessAwsRegion', () => {
  for (const [host, region] of [
    ['foo.s3-us-west-1.amazonaws.com', 'us-west-1'],
    ['foo.bar.s3.eu-central-1.amazonaws.com:443', 'eu-central-1'],
    ['entirely.unrecognized.url', 'us-east-1'],
    ['s3.amazonaws.com', 'us-east-1'],
    ['foo.s3-external-1.amazonaws.com', 'us-east-1'],
    ['amazonaws.com', 'us-east-1'],
    ['FOO.S3-EU-WEST-1.AMAZONAWS.COM', 'eu-west-1'],
    ['s3.eu-central-1.amazonaws.com', 'us-east-1'],
  ] as const) {
    it(`of ${host} is ${region}`, () => assert.equal(guessAwsRegion(host), region));
  }
});
