// AC Names and AC Identifiers (contract stage0 3.1).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { parseAcIdentifier, sameName, sanitizeAcIdentifier } from './ac-identifier.ts';
import { parseAcName, sanitizeAcName } from './ac-name.ts';
import { SpecError } from './errors.ts';

describe('parseAcName', () => {
  it('accepts lower case letters, digits and inner dashes', () => {
    for (const name of ['a', '0', 'web-1', 'a--b', '0-0']) assert.equal(parseAcName(name), name);
  });
  it('refuses everything else with the sentences of the standard', () => {
    const charset = 'ACName must contain only lower case alphanumeric characters plus "-"';
    const edges = 'ACName must start and end with only lower case alphanumeric characters';
    assert.throws(() => parseAcName(''), { message: 'ACName cannot be empty' });
    for (const name of ['A', 'a.b', 'a/b', 'a b', 'é', '#a', 'a\n']) {
      assert.throws(() => parseAcName(name), { code: 'bad-value', message: charset });
    }
    for (const name of ['-a', 'a-', '-']) assert.throws(() => parseAcName(name), { message: edges });
  });
});

describe('parseAcIdentifier', () => {
  it('accepts paths, domains, and separators in a row', () => {
    for (const name of ['example.com/app01', 'a..b', 'a~b_c', 'os/linux/seccomp-retain-set']) {
      assert.equal(parseAcIdentifier(name), name);
    }
  });
  it('refuses everything else with the sentences of the standard', () => {
    assert.throws(() => parseAcIdentifier(''), { message: 'ACIdentifier cannot be empty' });
    assert.throws(() => parseAcIdentifier('not an app name'), {
      message: 'ACIdentifier must contain only lower case alphanumeric characters plus "-._~/"',
    });
    for (const name of ['/a', 'a/', '..', '../a']) {
      assert.throws(() => parseAcIdentifier(name), {
        message: 'ACIdentifier must start and end with only lower case alphanumeric characters',
      });
    }
  });
});

describe('sanitizing', () => {
  it('makes the nearest name', () => {
    assert.equal(sanitizeAcName('volume/var/lib/My_App'), 'volume-var-lib-my-app');
    assert.equal(sanitizeAcName('/80/tcp/'), '80-tcp');
    assert.equal(sanitizeAcIdentifier('Quay.io/Acme Srv!'), 'quay.io/acme_srv');
    for (const text of ['', '---', '§§']) assert.throws(() => sanitizeAcName(text), { code: 'bad-value' });
  });
  it('always gives a valid name or refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const [sanitize, parse] of [
          [sanitizeAcName, parseAcName],
          [sanitizeAcIdentifier, parseAcIdentifier],
        ] as const) {
          try {
            const name = sanitize(text);
            assert.equal(parse(name), name);
            assert.equal(sanitize(name), name);
          } catch (error) {
            assert.ok(error instanceof SpecError);
          }
        }
      }),
    );
  });
  it('compares names in any case', () => {
    assert.equal(sameName('Version', 'version'), true);
    assert.equal(sameName('version', 'versions'), false);
  });
});
