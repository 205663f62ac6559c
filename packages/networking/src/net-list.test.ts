import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseNetworkList } from './net-list.ts';

describe('--net', () => {
  it('names networks, with arguments', () => {
    assert.deepEqual(parseNetworkList(['default', 'b:IP=10.0.0.1;K8S_POD_NAME=x']), {
      kind: 'networks',
      all: false,
      args: new Map([
        ['default', ''],
        ['b', 'IP=10.0.0.1;K8S_POD_NAME=x'],
      ]),
    });
  });

  it('knows all, none and host; none wins over host, and both over the rest', () => {
    assert.deepEqual(parseNetworkList(['all']), { kind: 'networks', all: true, args: new Map() });
    assert.equal(parseNetworkList(['default', 'none']).kind, 'none');
    assert.equal(parseNetworkList(['default', 'host']).kind, 'host');
    assert.equal(parseNetworkList(['host', 'none']).kind, 'none');
  });

  const refused: readonly (readonly [entries: readonly string[], message: string])[] = [
    [[''], 'netname must not be empty'],
    [['a', ''], 'netname must not be empty'],
    [[':IP=1'], 'netname must not be empty'],
    [['a', 'a:x=y'], 'found duplicate netname "a"'],
    [['host:x=y'], 'arguments are not supported by special netname "host"'],
    [['all:'], 'arguments are not supported by special netname "all"'],
    [['a:b:c'], 'network "a" provided with invalid arguments: [b c]'],
  ];
  for (const [entries, message] of refused) {
    it(`refuses ${JSON.stringify(entries)}`, () => {
      assert.throws(() => parseNetworkList(entries), { code: 'bad-network-list', message });
    });
  }

  it('keeps every name and argument as it was given', () => {
    const name = fc
      .stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
      .filter((text) => !['all', 'host', 'none'].includes(text));
    const args = fc.stringMatching(/^[A-Za-z0-9_.;=]{0,30}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(name, args), { selector: ([key]) => key, minLength: 1 }),
        (pairs) => {
          const selection = parseNetworkList(
            pairs.map(([key, value]) => (value === '' ? key : `${key}:${value}`)),
          );
          assert.deepEqual(selection, { kind: 'networks', all: false, args: new Map(pairs) });
        },
      ),
    );
  });
});
