import assert from 'node:assert/strict';

import { noNewPrivileges, seccompFilter, unknownSeccompNames } from './seccomp.ts';
import { DEFAULT_BLACKLIST, DEFAULT_WHITELIST, OLD_WHITELIST, SYSTEMD_GROUPS } from './seccomp-sets.ts';

type Filter = ReturnType<typeof seccompFilter>;

const retain = (set: string[], errno?: string): Filter =>
  seccompFilter({ isolators: [{ name: 'os/linux/seccomp-retain-set', value: { set, errno } }] } as never);
const remove = (set: string[], errno?: string): Filter =>
  seccompFilter({ isolators: [{ name: 'os/linux/seccomp-remove-set', value: { set, errno } }] } as never);

describe('seccomp isolators', () => {
  it('have the default list of 309 calls, and newer ones', () => {
    assert.equal(OLD_WHITELIST.length, 309);
    assert.deepEqual(seccompFilter({})?.calls, DEFAULT_WHITELIST);
    assert.equal(seccompFilter({})?.errno, 'ENOSYS');
  });
  it('retain', () => {
    assert.deepEqual(retain(['read', 'write']), { mode: 'allow', calls: ['read', 'write'] });
    assert.deepEqual(retain(['read'], 'EPERM'), { mode: 'allow', calls: ['read'], errno: 'EPERM' });
    assert.equal(retain(['read', '@appc.io/all']), undefined);
  });
  it('remove', () => {
    assert.deepEqual(remove(['read'], 'EACCES'), { mode: 'deny', calls: ['read'], errno: 'EACCES' });
    assert.deepEqual(remove(['read', '@appc.io/empty']), seccompFilter({}));
    assert.deepEqual(remove(['@appc.io/empty'], 'EPERM'), {
      mode: 'allow',
      calls: DEFAULT_WHITELIST,
      errno: 'EPERM',
    });
  });
  it('expand wildcards and drop unknown ones', () => {
    for (const scope of ['docker', 'rkt']) {
      assert.deepEqual(remove([`@${scope}/default-blacklist`])?.calls, DEFAULT_BLACKLIST);
      assert.deepEqual(retain([`@${scope}/default-whitelist`])?.calls, DEFAULT_WHITELIST);
    }
    for (const [group, calls] of Object.entries(SYSTEMD_GROUPS)) {
      assert.deepEqual(remove([`@systemd/${group}`])?.calls, calls);
    }
    assert.deepEqual(retain(['@nobody/nothing', '@systemd/none', '@', 'read', 'read'])?.calls, ['read']);
  });
  it('are never no filter by mistake, and have an errno that there is', () => {
    assert.throws(
      () => retain(['@nobody/nothing']),
      /seccomp-retain-set has no name that rkt knows: @nobody/,
    );
    assert.throws(() => remove(['read'], 'ENOSUCH'), /not the name of an error: "ENOSUCH"/);
  });
  it('tell which of their names mean nothing', () => {
    const set = ['read', 'socketcall', 'mount2', '@rkt/default-whitelist', '@systemd/none', '@appc.io/all'];
    const isolators = [{ name: 'os/linux/seccomp-remove-set', value: { set } }];
    assert.deepEqual(unknownSeccompNames({ isolators } as never), ['mount2', '@systemd/none']);
  });
  it('are one at most', () => {
    const two = ['retain', 'remove'].map((kind) => ({
      name: `os/linux/seccomp-${kind}-set`,
      value: { set: ['read'] },
    }));
    assert.throws(() => seccompFilter({ isolators: two } as never), /too many seccomp isolators specified/);
  });
  it('name calls with nothing that means more in a unit', () => {
    assert.throws(() => retain(['read\nExecStart=/x']), /not the name of a system call/);
    assert.throws(() => retain(['read:kill']), /not the name of a system call/);
  });
  it('force no_new_privs upon users who are filtered', () => {
    assert.equal(noNewPrivileges({}, 0, true), false);
    assert.equal(noNewPrivileges({}, 1000, true), true);
    assert.equal(noNewPrivileges({}, 1000, false), false);
  });
});
