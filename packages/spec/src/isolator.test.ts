// Isolators: what an app may carry, and what the flags make (contract stage0 3.5, 11.6).

import assert from 'node:assert/strict';

import { decodeOrThrow } from './codec.ts';
import { CapabilitySet } from './isolator-linux.ts';
import { ComputingResource } from './isolator-resource.ts';
import { AppIsolators, findIsolator, type Isolator, isolatorValues, PodIsolators } from './isolator.ts';

const read = (...isolators: [name: string, value: unknown][]): readonly Isolator[] =>
  decodeOrThrow(
    AppIsolators,
    isolators.map(([name, value]) => ({ name, value })),
    '',
  );

describe('AppIsolators', () => {
  it('take the values of the standard', () => {
    read(
      ['resource/cpu', { request: '250m', limit: '500m' }],
      ['resource/memory', { default: false, limit: '1Gi' }],
      ['resource/memory', { limit: '2Gi' }],
      ['resource/block-bandwidth', { default: true, limit: '2M' }],
      ['resource/block-iops', { default: true, limit: '1000' }],
      ['resource/network-bandwidth', { default: true, limit: '1G' }],
      ['os/linux/capabilities-retain-set', { set: ['CAP_KILL'] }],
      ['os/linux/capabilities-remove-set', { set: ['CAP_KILL'] }],
      ['os/linux/no-new-privileges', true],
      ['os/linux/no-new-privileges', false],
      ['os/linux/seccomp-retain-set', { set: ['@appc.io/all'], errno: 'EPERM' }],
      ['os/linux/oom-score-adj', -1000],
      ['os/linux/cpu-shares', 262144],
      ['os/linux/selinux-context', { user: 'u', role: 'r', type: 't', level: 's0:c1' }],
      ['os/unix/sysctl', { 'net.ipv4.tcp_mtu_probing': '1' }],
    );
  });
  it('refuse values outside the rules', () => {
    const bad: [name: string, value: unknown, message: RegExp][] = [
      ['resource/cpu', { default: true }, /resource\/cpu: default must be false/],
      ['resource/memory', { limit: 'lots' }, /resource\/memory: limit: bad quantity "lots"/],
      ['resource/memory', { limit: 5 }, /expected a string, found a number/],
      ['resource/block-iops', { limit: '1' }, /default must be true/],
      ['resource/network-bandwidth', { default: true, request: '1' }, /request must not be set/],
      ['os/linux/capabilities-retain-set', { set: [] }, /set must be non-empty/],
      ['os/linux/capabilities-remove-set', {}, /set must be non-empty/],
      ['os/linux/capabilities-remove-set', { set: ['CAP_KILL\nX=y'] }, /names must not contain spaces/],
      ['os/linux/no-new-privileges', 'yes', /expected true or false/],
      ['os/linux/seccomp-remove-set', { set: ['x'], errno: 'eperm' }, /errno must start with "E"/],
      ['os/linux/oom-score-adj', 1001, /oom-score-adj must be in -1000-1000 range/],
      ['os/linux/cpu-shares', 1, /cpu-shares must be in 2-262144 range/],
      [
        'os/linux/selinux-context',
        { user: 'a:b', role: 'r', type: 't', level: 'l' },
        /user must not contain ":"/,
      ],
      ['os/linux/selinux-context', { user: 'u' }, /role must not be empty/],
      ['os/unix/sysctl', { a: 1 }, /expected a string/],
      ['os/linux/apparmor-profile', {}, /invalid isolator os\/linux\/apparmor-profile/],
    ];
    for (const [name, value, message] of bad) assert.throws(() => read([name, value]), message, name);
  });
  it('refuse single ones twice and both seccomp sets', () => {
    assert.throws(() => read(['os/linux/cpu-shares', 2], ['os/linux/cpu-shares', 2]), {
      message: 'isolators set contains too many instances of type os/linux/cpu-shares',
    });
    const set = { set: ['x'] };
    assert.throws(() => read(['os/linux/seccomp-retain-set', set], ['os/linux/seccomp-remove-set', set]), {
      message: 'isolators set contains incompatible types',
    });
  });
  it('are freer in a pod', () => {
    assert.equal(decodeOrThrow(PodIsolators, [{ name: 'x/y', value: { z: [1] } }], '').length, 1);
  });
});

describe('lookups', () => {
  const isolators = read(
    ['resource/memory', { limit: '1Gi' }],
    ['os/linux/capabilities-retain-set', { set: ['CAP_KILL'] }],
    ['resource/memory', { limit: '2Gi' }],
  );
  it('the last one counts', () => {
    assert.deepEqual(findIsolator(isolators, 'resource/memory')?.value, { limit: '2Gi' });
    assert.equal(findIsolator(undefined, 'resource/memory'), undefined);
  });
  it('values have their type', () => {
    const limits = isolatorValues(isolators, 'resource/memory', ComputingResource).map(({ limit }) => limit);
    assert.deepEqual(limits, ['1Gi', '2Gi']);
    assert.deepEqual(isolatorValues(isolators, 'os/linux/capabilities-retain-set', CapabilitySet), [
      { set: ['CAP_KILL'] },
    ]);
  });
});
