import assert from 'node:assert/strict';

import { mayRedirect, nearness } from './local-address.ts';

describe('nearness', () => {
  for (const [host, expected] of [
    ['127.0.0.1', 'loopback'],
    ['127.9.9.9', 'loopback'],
    ['0.0.0.0', 'loopback'],
    ['localhost', 'loopback'],
    ['a.localhost', 'loopback'],
    ['[::1]', 'loopback'],
    ['::', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['[::ffff:7f00:1]', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['::ffff:169.254.169.254', 'link-local'],
    ['[fe80::1]', 'link-local'],
    ['10.0.0.1', 'network'],
    ['8.8.8.8', 'network'],
    ['[2001:db8::1]', 'network'],
    ['example.com', 'network'],
    ['127.0.0.1.example.com', 'network'],
  ] as const) {
    it(`of ${host} is ${expected}`, () => assert.equal(nearness(host), expected));
  }
});

describe('mayRedirect', () => {
  it('lets servers lead away from where they are, not nearer to us', () => {
    assert.ok(mayRedirect('network', 'network'));
    assert.ok(mayRedirect('loopback', 'loopback'));
    assert.ok(mayRedirect('loopback', 'network'));
    assert.ok(mayRedirect('link-local', 'network'));
    assert.ok(mayRedirect('link-local', 'link-local'));
    assert.ok(!mayRedirect('network', 'loopback'));
    assert.ok(!mayRedirect('network', 'link-local'));
    assert.ok(!mayRedirect('link-local', 'loopback'));
  });
});
