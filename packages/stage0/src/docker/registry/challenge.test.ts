// Challenges, realms, retries: what registries say before they say anything (hostile inputs 35, 40).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { parseChallenges } from './challenge.ts';
import { MAX_RETRIES, retryDelayMs } from './retry.ts';
import { belongsTo, parseRealm } from './trusted-realm.ts';

describe('challenges', () => {
  const parse = (header: string): [string, Record<string, string>][] =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

  it('are read as registries write them', () => {
    assert.deepEqual(
      parse(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      ),
      [
        [
          'bearer',
          {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:a/b:pull,push',
          },
        ],
      ],
    );
    assert.deepEqual(parse('bearer Realm = x , SERVICE=y'), [['bearer', { realm: 'x', service: 'y' }]]);
    assert.deepEqual(parse('Basic realm="a \\"b\\" c", Bearer realm="x", Negotiate'), [
      ['basic', { realm: 'a "b" c' }],
      ['bearer', { realm: 'x' }],
      ['negotiate', {}],
    ]);
    assert.deepEqual(parse('Bearer realm="a",realm="b"'), [['bearer', { realm: 'a' }]]);
    assert.deepEqual(parse(''), []);
    assert.deepEqual(parse(', ,'), []);
    assert.deepEqual(parse('Bearer realm="open'), [['bearer', {}]]);
  });

  it('come back as they were written', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const value = fc.string().map((text) => text.replace(/[\r\n]/g, ' '));
    const challenge = fc.tuple(token, fc.dictionary(token, value, { minKeys: 1, maxKeys: 4 }));
    fc.assert(
      fc.property(fc.array(challenge), (challenges) => {
        const header = challenges
          .map(([scheme, parameters]) => {
            const parts = Object.entries(parameters).map(
              ([name, text]) => `${name}="${text.replace(/["\\]/g, '\\$&')}"`,
            );
            return `${scheme} ${parts.join(', ')}`;
          })
          .join(', ');
        assert.deepEqual(
          parse(header).map(([scheme, parameters]) => [scheme, { ...parameters }]),
          challenges.map(([scheme, parameters]) => [scheme, { ...parameters }]),
        );
      }),
    );
  });
  it('of any text end', () => {
    const unit = fc.constantFrom('a', ' ', ',', '=', '"', '\\', '\t', 'é', ';', '\n');
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit })), (text) => void parseChallenges(text)));
  });
});

describe('token servers', () => {
  const REGISTRY = new URL('https://registry.example.com:5000/v2/');
  for (const realm of [
    '',
    'x',
    '/token',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'ftp://example.com/',
    'https://user:secret@registry.example.com/token',
    'https://user@registry.example.com/token',
  ]) {
    it(`are refused: ${realm}`, () =>
      assert.throws(
        () => parseRealm(realm, REGISTRY, true),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'registry');
          assert.match(error.message, /^registry\.example\.com:5000 names a token server /);
          assert.doesNotMatch(error.message, /secret/);
          return true;
        },
      ));
  }
  it('do not use http, unless that is allowed', () => {
    assert.throws(
      () => parseRealm('http://registry.example.com/token', REGISTRY, false),
      /does not use https/,
    );
    assert.equal(parseRealm('http://registry.example.com/token', REGISTRY, true).protocol, 'http:');
  });

  const pairs: readonly (readonly [realm: string, registry: string, belongs: boolean])[] = [
    ['registry.example.com', 'registry.example.com', true],
    ['registry.example.com:8443', 'registry.example.com', true],
    ['auth.docker.io', 'registry-1.docker.io', true],
    ['gitlab.com', 'registry.gitlab.com', true],
    ['gitlab.example.com', 'registry.gitlab.example.com', true],
    ['example.com', 'registry.example.com', true],
    ['us.gcr.io', 'gcr.io', true],
    ['127.0.0.1:5001', '127.0.0.1:5000', true],
    ['evil.com', 'registry.example.com', false],
    ['example.com.evil.com', 'registry.example.com', false],
    ['evilexample.com', 'registry.example.com', false],
    ['registry.example.com.', 'registry.example.com', true],
    ['com', 'registry.example.com', false],
    ['evil.co.uk', 'registry.co.uk', false],
    ['auth.acme.co.uk', 'registry.acme.co.uk', true],
    ['evil.com.au', 'registry.com.au', false],
    ['evil.azurecr.io', 'acme.azurecr.io', false],
    ['evil.s3.amazonaws.com', '1234.dkr.ecr.us-east-1.amazonaws.com', false],
    ['127.0.0.2', '127.0.0.1', false],
    ['10.0.0.1', '11.0.0.1', false],
    ['[::2]', '[::1]', false],
    ['localhost', 'registry.localhost', false],
  ];
  for (const [realm, registry, belongs] of pairs) {
    it(`at ${realm} ${belongs ? 'belong' : 'do not belong'} to ${registry}`, () =>
      assert.equal(
        belongsTo(new URL(`https://${realm}/token`), new URL(`https://${registry}/v2/`)),
        belongs,
      ));
  }
});

describe('retries', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const at = (header: string | undefined, retry = 1): number => retryDelayMs(header, retry, now);
  it('wait as long as the registry asks for, within bounds', () => {
    assert.equal(at('3'), 3000);
    assert.equal(at('Thu, 01 Jan 2026 00:00:05 GMT'), 5000);
    assert.equal(at('1000000000'), 20_000);
    assert.equal(at('9'.repeat(400)), 20_000);
    assert.equal(at('Thu, 01 Jan 1970 00:00:00 GMT'), 500);
    assert.equal(at('Fri, 01 Jan 2100 00:00:00 GMT'), 20_000);
    assert.equal(at('0'), 500);
    assert.equal(at('-5'), 500);
    assert.equal(at('soon'), 500);
    assert.deepEqual(
      [1, 2, 3].map((retry) => at(undefined, retry)),
      [500, 1000, 2000],
    );
  });
  it('never take more than a minute in all', () => {
    fc.assert(
      fc.property(fc.option(fc.string(), { nil: undefined }), (header) => {
        const total = Array.from({ length: MAX_RETRIES }, (_, index) => at(header, index + 1)).reduce(
          (a, b) => a + b,
        );
        assert.ok(total > 0 && total <= 60_000);
      }),
    );
  });
});
