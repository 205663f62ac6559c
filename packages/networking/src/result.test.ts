import assert from 'node:assert/strict';
import fc from 'fast-check';
import { dottedMask, parseResult } from './result.ts';

describe('results of plugins', () => {
  it('of 0.1.0 and 0.2.0 have ip4 and ip6', () => {
    const text = JSON.stringify({
      cniVersion: '0.2.0',
      ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0' }] },
      ip6: { ip: 'fd00::2/64' },
      dns: {},
    });
    assert.deepEqual(parseResult(text), {
      addresses: [
        { family: 4, ip: '10.0.0.2', prefix: 24, gateway: '10.0.0.1' },
        { family: 6, ip: 'fd00::2', prefix: 64 },
      ],
    });
  });

  it('of 0.3.0 and later have a list, in which the addresses of the host do not count', () => {
    const text = JSON.stringify({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'cni0' }, { name: 'eth0', sandbox: '/var/run/netns/x' }],
      ips: [
        { address: '10.0.0.1/24', interface: 0 },
        { address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 1 },
        { version: '6', address: 'fd00::2/64' },
      ],
    });
    assert.deepEqual(
      parseResult(text).addresses.map(({ ip }) => ip),
      ['10.0.0.2', 'fd00::2'],
    );
  });

  it('may have no address, and keys in any case', () => {
    assert.deepEqual(parseResult('{}'), { addresses: [] });
    assert.equal(parseResult('{"IP4":{"IP":"10.0.0.2/24"}}').addresses[0]?.ip, '10.0.0.2');
  });

  it('bring name servers', () => {
    const dns = { nameservers: ['1.2.3.4'], domain: 'd', search: ['s'], options: ['o'] };
    assert.deepEqual(parseResult(JSON.stringify({ dns })).dns, dns);
    assert.equal(parseResult('{"dns":{"nameservers":[]}}').dns, undefined);
  });

  for (const [what, text] of [
    ['no JSON', 'ptp: done'],
    ['no object', '[]'],
    ['an address without a prefix', '{"ip4":{"ip":"10.0.0.2"}}'],
    ['a prefix that is too long', '{"ip4":{"ip":"10.0.0.2/33"}}'],
    ['what is no address', '{"ips":[{"address":"10.0.0.2; drop/24"}]}'],
    ['a gateway that is no address', '{"ip4":{"ip":"10.0.0.2/24","gateway":"x"}}'],
    ['a line break in a name server', '{"dns":{"nameservers":["1.2.3.4\\nnameserver 6.6.6.6"]}}'],
  ] as const) {
    it(`with ${what} are refused`, () => {
      assert.throws(() => parseResult(text), { code: 'bad-plugin-result' });
    });
  }

  it('never fail otherwise, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        try {
          parseResult(text);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'bad-plugin-result');
        }
      }),
    );
  });

  it('have masks of as many bits as the prefix', () => {
    assert.equal(dottedMask(24), '255.255.255.0');
    assert.equal(dottedMask(0), '0.0.0.0');
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32 }), (prefix) => {
        const bits = dottedMask(prefix)
          .split('.')
          .map((part) => Number(part).toString(2).padStart(8, '0'))
          .join('');
        assert.equal(bits, '1'.repeat(prefix).padEnd(32, '0'));
      }),
    );
  });
});
