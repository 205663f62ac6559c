import assert from 'node:assert/strict';

import fc from 'fast-check';

import { CookieJar } from './cookies.ts';

const NOW = Date.parse('2020-01-01T00:00:00Z');

/** What a request to `to` says after `from` set these cookies. */
function sent(from: string, headers: readonly string[], to: string): string | undefined {
  const jar = new CookieJar();
  jar.store(new URL(from), headers, NOW);
  return jar.headersFor(new URL(to)).Cookie;
}

describe('cookies', () => {
  for (const [what, from, header, to, expected] of [
    ['go back to their host', 'https://a.com/x', 'k=v', 'https://a.com/y', 'k=v'],
    ['keep what is in their value', 'https://a.com/', 'k=a=b "c"; HttpOnly', 'https://a.com/', 'k=a=b "c"'],
    ['go to no other host', 'https://a.com/', 'k=v', 'https://b.com/', undefined],
    ['go to no host below theirs unless they say so', 'https://a.com/', 'k=v', 'https://x.a.com/', undefined],
    ['go to hosts below their domain', 'https://a.com/', 'k=v; Domain=.A.com', 'https://x.a.com/', 'k=v'],
    ['may name a domain above', 'https://x.a.com/', 'k=v; domain=a.com', 'https://y.a.com/', 'k=v'],
    ['may name no other domain', 'https://a.com/', 'k=v; Domain=b.com', 'https://a.com/', undefined],
    ['may name no end of the domain', 'https://ba.com/', 'k=v; Domain=a.com', 'https://a.com/', undefined],
    ['may name no top level', 'https://a.com/', 'k=v; Domain=com', 'https://b.com/', undefined],
    ['of addresses stay there', 'https://1.2.3.4/', 'k=v; Domain=3.4', 'https://1.2.3.4/', undefined],
    ['stay below their path', 'https://a.com/', 'k=v; Path=/d', 'https://a.com/d/e', 'k=v'],
    ['stay inside their path', 'https://a.com/', 'k=v; Path=/d', 'https://a.com/de', undefined],
    ['have the directory as their path', 'https://a.com/d/e', 'k=v', 'https://a.com/f', undefined],
    ['that are secure go over https', 'https://a.com/', 'k=v; Secure', 'http://a.com/', undefined],
    ['that expired are gone', 'https://a.com/', 'k=v; Max-Age=0', 'https://a.com/', undefined],
    [
      'that expired by date are gone',
      'https://a.com/',
      'k=v; Expires=Wed, 01 Jan 2015 00:00:00 GMT',
      'https://a.com/',
      undefined,
    ],
    [
      'live by their age rather than their date',
      'https://a.com/',
      'k=v; Expires=Wed, 01 Jan 2015 00:00:00 GMT; Max-Age=5',
      'https://a.com/',
      'k=v',
    ],
    ['need a name', 'https://a.com/', '=v', 'https://a.com/', undefined],
    ['need a value', 'https://a.com/', 'k', 'https://a.com/', undefined],
    ['are short', 'https://a.com/', `k=${'v'.repeat(5000)}`, 'https://a.com/', undefined],
  ] as const) {
    it(what, () => assert.equal(sent(from, [header], to), expected));
  }
  it('replace each other by name and are deleted', () => {
    const set = ['a=1', 'b=2', 'a=3', 'b=; Max-Age=-1'];
    assert.equal(sent('https://a.com/', set, 'https://a.com/'), 'a=3');
  });
  it('with longer paths come first', () => {
    assert.equal(sent('https://a.com/', ['a=1; Path=/', 'b=2; Path=/d'], 'https://a.com/d'), 'b=2; a=1');
  });
  it('are limited in number', () => {
    const many = Array.from({ length: 200 }, (_, index) => `c${index}=v`);
    assert.equal(sent('https://a.com/', many, 'https://a.com/')?.split(';').length, 50);
  });
  it('never leave their domain, whatever the header', () => {
    const piece = fc.constantFrom('k=v', ';', ' Domain=', 'a.com', '.com', 'evil.org', 'Path=/', '=', '.');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        assert.equal(sent('https://a.com/', [pieces.join('')], 'https://evil.org/'), undefined);
        assert.equal(sent('https://a.com/', [pieces.join('')], 'https://b.com/'), undefined);
      }),
    );
  });
});
