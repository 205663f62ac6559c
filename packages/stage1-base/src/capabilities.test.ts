import assert from 'node:assert/strict';

import type { App } from '@rkt/spec/app';

import { boundingSet, DEFAULT_CAPABILITIES, REMOVE_SET, RETAIN_SET, unknownRemoved } from './capabilities.ts';

function appWith(...isolators: [string, string[]][]): App {
  return {
    exec: ['/x'],
    user: '0',
    group: '0',
    isolators: isolators.map(([name, set]) => ({ name, value: { set } })),
  } as App;
}

describe('capability bounding set', () => {
  it('is the default fourteen without isolators', () => {
    assert.deepEqual(boundingSet(appWith()), DEFAULT_CAPABILITIES);
    assert.equal(DEFAULT_CAPABILITIES.length, 14);
  });

  it('is the union of all retain sets, in the order given', () => {
    const app = appWith(
      [RETAIN_SET, ['CAP_NET_ADMIN', 'cap_kill']],
      [RETAIN_SET, ['CAP_KILL', 'CAP_SYS_TIME']],
    );
    assert.deepEqual(boundingSet(app), ['CAP_NET_ADMIN', 'CAP_KILL', 'CAP_SYS_TIME']);
  });

  it('is the default without what remove sets take, which need not be in it', () => {
    const set = boundingSet(
      appWith([REMOVE_SET, ['CAP_CHOWN', 'CAP_SYS_ADMIN']], [REMOVE_SET, ['CAP_MKNOD']]),
    );
    assert.deepEqual(
      set,
      DEFAULT_CAPABILITIES.filter((name) => name !== 'CAP_CHOWN' && name !== 'CAP_MKNOD'),
    );
  });

  it('is empty when everything is removed', () => {
    assert.deepEqual(boundingSet(appWith([REMOVE_SET, [...DEFAULT_CAPABILITIES]])), []);
  });

  it('has no names that nobody knows', () => {
    assert.throws(() => boundingSet(appWith([RETAIN_SET, ['CAP_KILL', 'CAP_FLY']])), {
      message: 'unknown capability "CAP_FLY"',
    });
    const app = appWith([REMOVE_SET, ['CAP_KILL', 'CAP_FLY']]);
    assert.equal(boundingSet(app).length, 13);
    assert.deepEqual(unknownRemoved(app), ['CAP_FLY']);
  });

  it('refuses sets of both kinds', () => {
    assert.throws(() => boundingSet(appWith([RETAIN_SET, ['CAP_KILL']], [REMOVE_SET, ['CAP_CHOWN']])), {
      message: 'cannot have both os/linux/capabilities-retain-set and os/linux/capabilities-remove-set',
    });
  });
});
