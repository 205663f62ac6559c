import assert from 'node:assert/strict';

import fc from 'fast-check';

import { proxyFor } from './proxy.ts';

const PROXY = 'http://proxy:3128';

function isDirect(url: string, noProxy: string): boolean {
  return proxyFor(new URL(url), { HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY, NO_PROXY: noProxy }) === undefined;
}

describe('proxyFor', () => {
  const chosen = (url: string, env: Record<string, string>): string | undefined =>
    proxyFor(new URL(url), env)?.href;

  it('takes the variable of the scheme, in capitals first', () => {
    const env = { HTTP_PROXY: 'http://a:1', HTTPS_PROXY: 'http://b:2', https_proxy: 'http://c:3' };
    assert.equal(chosen('http://x.com/', env), 'http://a:1/');
    assert.equal(chosen('https://x.com/', env), 'http://b:2/');
    assert.equal(chosen('https://x.com/', { https_proxy: 'http://c:3' }), 'http://c:3/');
    assert.equal(chosen('https://x.com/', { HTTPS_PROXY: '', https_proxy: 'http://c:3' }), 'http://c:3/');
    assert.equal(chosen('http://x.com/', { HTTPS_PROXY: 'http://b:2' }), undefined);
    assert.equal(chosen('http://x.com/', {}), undefined);
  });
  it('takes an address without a scheme, and login data', () => {
    assert.equal(chosen('http://x.com/', { HTTP_PROXY: 'proxy:3128' }), 'http://proxy:3128/');
    assert.equal(chosen('http://x.com/', { HTTP_PROXY: 'u:p@proxy:3128' }), 'http://u:p@proxy:3128/');
  });
  it('refuses what it cannot speak to, without telling passwords', () => {
    for (const [value, message] of [
      ['socks5://u:secret@proxy', /HTTP_PROXY names a proxy of kind "socks5"/],
      ['http://u:secret@', /invalid proxy address in HTTP_PROXY/],
      ['::secret::', /invalid proxy address in HTTP_PROXY/],
    ] as const) {
      assert.throws(
        () => chosen('http://x.com/', { HTTP_PROXY: value }),
        (error: Error) => message.test(error.message) && !error.message.includes('secret'),
      );
    }
  });
  it('never stands between this machine and itself', () => {
    for (const host of ['localhost', '127.0.0.1', '127.3.2.1', '[::1]'])
      assert.ok(isDirect(`https://${host}:5000/`, ''));
    assert.ok(!isDirect('https://localhost.example.com/', ''));
    assert.ok(!isDirect('https://127.example.com/', ''));
  });

  for (const [noProxy, direct, proxied] of [
    ['*', ['https://x.com/', 'http://1.2.3.4/'], []],
    ['foo.com', ['https://foo.com/', 'https://a.foo.com/', 'https://a.b.foo.com:8/'], ['https://xfoo.com/']],
    ['FOO.com', ['https://foo.com/'], ['https://foo.com.org/']],
    ['.foo.com', ['https://a.foo.com/'], ['https://foo.com/']],
    ['*.foo.com', ['https://a.foo.com/'], ['https://foo.com/']],
    [
      'foo.com:443',
      ['https://foo.com/', 'http://a.foo.com:443/'],
      ['http://foo.com/', 'https://foo.com:8443/'],
    ],
    ['10.1.2.3', ['https://10.1.2.3/', 'http://10.1.2.3:99/'], ['https://10.1.2.30/', 'https://110.1.2.3/']],
    ['10.1.2.3:80', ['http://10.1.2.3/'], ['https://10.1.2.3/']],
    ['10.0.0.0/8', ['https://10.255.1.1/'], ['https://11.0.0.1/', 'https://10.example.com/']],
    ['192.168.4.0/22', ['https://192.168.7.255/'], ['https://192.168.8.0/', 'https://192.168.3.255/']],
    ['fd00::/8', ['https://[fd12::1]/'], ['https://[fe80::1]/', 'https://10.0.0.1/']],
    ['fd00::1', ['https://[fd00:0::1]/'], ['https://[fd00::2]/']],
    ['[fd00::1]:443', ['https://[fd00::1]/'], ['https://[fd00::1]:99/']],
    [' a.com , b.com,', ['https://a.com/', 'https://b.com/'], ['https://c.com/']],
    ['10.0.0.0/99,/8,x/8,,:,:80', [], ['https://10.0.0.1/', 'https://x.com/']],
  ] as const) {
    it(`goes by NO_PROXY=${noProxy}`, () => {
      for (const url of direct) assert.ok(isDirect(url, noProxy), `${url} is direct`);
      for (const url of proxied) assert.ok(!isDirect(url, noProxy), `${url} is proxied`);
    });
  }
  it('reads any NO_PROXY', () => {
    const piece = fc.constantFrom('.', '*', ':', '/', '8', '[', ']', 'fd00::', '10.0.0.0', ',', 'a.com', ' ');
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        isDirect('https://10.0.0.1/', pieces.join(''));
      }),
    );
  });
});
