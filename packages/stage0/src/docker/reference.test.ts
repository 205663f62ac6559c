// Docker references (contract stage0 5.1, 11.1; hostile input 29).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { fullDockerReference, parseDockerReference, simpleDockerReference } from './reference.ts';

const HEX = '0123456789abcdef'.repeat(4);
const DIGEST = `sha256:${HEX}`;

describe('docker references', () => {
  const vectors: Record<
    string,
    readonly [index: string, repository: string, tag?: string | undefined, digest?: string]
  > = {
    busybox: ['registry-1.docker.io', 'library/busybox', 'latest'],
    'busybox:latest': ['registry-1.docker.io', 'library/busybox', 'latest'],
    'docker.io/library/busybox:1': ['registry-1.docker.io', 'library/busybox', '1'],
    'docker.io/busybox': ['registry-1.docker.io', 'library/busybox', 'latest'],
    'index.docker.io/acme/srv': ['registry-1.docker.io', 'acme/srv', 'latest'],
    'acme/srv': ['registry-1.docker.io', 'acme/srv', 'latest'],
    'gcr.io/google-samples/node-hello:1.0': ['gcr.io', 'google-samples/node-hello', '1.0'],
    [`alpine@${DIGEST}`]: ['registry-1.docker.io', 'library/alpine', undefined, DIGEST],
    [`alpine:3@${DIGEST}`]: ['registry-1.docker.io', 'library/alpine', '3', DIGEST],
    [`a@sha512:${HEX}${HEX}`]: ['registry-1.docker.io', 'library/a', undefined, `sha512:${HEX}${HEX}`],
    'myregistry.example.com:4000/busybox:1.0': ['myregistry.example.com:4000', 'busybox', '1.0'],
    'localhost/a': ['localhost', 'a', 'latest'],
    'localhost:5000/a': ['localhost:5000', 'a', 'latest'],
    'Registry.Example.com/a': ['registry.example.com', 'a', 'latest'],
    '[::1]:5000/a': ['[::1]:5000', 'a', 'latest'],
    'quay.io/a/b__c-d.e/f': ['quay.io', 'a/b__c-d.e/f', 'latest'],
  };
  for (const [text, [index, repository, tag, digest]] of Object.entries(vectors)) {
    it(`read ${text}`, () => {
      assert.deepEqual(parseDockerReference(text), {
        index,
        repository,
        ...(tag !== undefined && { tag }),
        ...(digest !== undefined && { digest }),
        text,
      });
    });
  }

  const refused: Record<string, RegExp> = {
    '': /bad repository name/,
    'quay.io/acme/Srv': /^docker distribution creation error: repository names are lower case: "acme\/Srv"$/,
    Busybox: /lower case/,
    'a:': /bad tag ""/,
    'a:.x': /bad tag/,
    [`a:${'x'.repeat(129)}`]: /bad tag/,
    'a@': /bad digest ""/,
    'a@sha256:../../x': /bad digest "sha256:\.\.\/\.\.\/x"/,
    [`a@sha256:${HEX.toUpperCase()}`]: /bad digest/,
    [`a@SHA256:${HEX}`]: /bad digest/,
    [`a@sha256:${HEX}0`]: /bad digest/,
    [`a@sha256:${HEX}\n`]: /bad digest/,
    [`a@sha512:${HEX}`]: /bad digest/,
    [`a@md5:${HEX.slice(32)}`]: /bad digest/,
    'a//b': /bad repository/,
    '/a': /bad repository/,
    'a/': /bad repository/,
    'a/../b': /bad repository/,
    'quay.io/../../v2': /bad repository/,
    'quay.io/': /bad repository/,
    'a b': /bad repository/,
    'a\n': /bad repository/,
    'a?x=y': /bad repository/,
    'a#b': /bad repository/,
    'user:secret@quay.io/a': /bad digest/,
    'http://quay.io/a': /bad registry|bad tag|bad repository/,
    'quay.io:99999/a': /bad registry/,
    'quay.io:x/a': /bad registry/,
    'a.0/a': /bad registry/,
    '0x7f.1/a': /bad registry/,
    '127.1/a': /bad registry/,
    '-.io/a': /bad registry/,
    [`${'a/'.repeat(130)}a`]: /bad repository/,
  };
  for (const [text, reason] of Object.entries(refused)) {
    it(`refuse ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.throws(
        () => parseDockerReference(text),
        (error: Error & { code: string; hint: string }) => {
          assert.equal(error.code, 'bad-reference');
          assert.match(error.message, /^docker distribution creation error: /);
          assert.match(error.message, reason);
          assert.match(
            error.hint,
            /^invalid docker URL ".*"; expected syntax is "docker:\/\/\[REGISTRY_HOST\[:REGISTRY_PORT\]\/\]IMAGE_NAME\[:TAG\]"$/s,
          );
          return true;
        },
      );
    });
  }

  const simple: Record<string, string> = {
    'docker.io/library/busybox:latest': 'busybox',
    'busybox:1': 'busybox:1',
    'acme/srv': 'acme/srv',
    'quay.io/library/a': 'quay.io/library/a',
    'docker.io/library/a.b': 'a.b',
    [`a@${DIGEST}`]: `a@${DIGEST}`,
    [`a:latest@${DIGEST}`]: `a:latest@${DIGEST}`,
  };
  for (const [text, expected] of Object.entries(simple)) {
    it(`are shown short: ${text}`, () =>
      assert.equal(simpleDockerReference(parseDockerReference(text)), expected));
  }

  // Without dots, which would make the first one a registry.
  const component = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:_|__|-)[a-z0-9]{1,4})?$/);
  const reference = fc
    .record({
      index: fc.option(fc.constantFrom('quay.io', 'localhost', 'localhost:5000', 'docker.io', 'a.b:1'), {
        nil: undefined,
      }),
      path: fc.array(component, { minLength: 1, maxLength: 3 }),
      tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/), { nil: undefined }),
      digest: fc.option(fc.constant(DIGEST), { nil: undefined }),
    })
    .map(({ index, path, tag, digest }) =>
      [
        ...(index === undefined ? [] : [index, '/']),
        path.join('/'),
        ...(tag === undefined ? [] : [':', tag]),
        ...(digest === undefined ? [] : ['@', digest]),
      ].join(''),
    );

  it('mean the same in every spelling', () => {
    fc.assert(
      fc.property(reference, (text) => {
        const parsed = parseDockerReference(text);
        for (const spelling of [simpleDockerReference(parsed), fullDockerReference(parsed)]) {
          assert.deepEqual({ ...parseDockerReference(spelling), text }, parsed, spelling);
        }
      }),
    );
  });

  it('never hold what could leave its place in a URL or path', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({
        unit: fc.constantFrom(
          'a',
          'B',
          '/',
          ':',
          '@',
          '.',
          '-',
          '_',
          '%',
          '?',
          '#',
          '\\',
          '\0',
          '\n',
          '[',
          ']',
        ),
      }),
      reference,
    );
    fc.assert(
      fc.property(text, (input) => {
        let parsed;
        try {
          parsed = parseDockerReference(input);
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'bad-reference');
          return;
        }
        const { index, repository, tag = 'x', digest = DIGEST } = parsed;
        const url = new URL(`https://${index}/v2/${repository}/manifests/${tag}`);
        assert.equal(url.pathname, `/v2/${repository}/manifests/${tag}`);
        assert.equal(url.username, '');
        assert.match(digest, /^sha(256|512):[0-9a-f]+$/);
      }),
    );
  });
});
