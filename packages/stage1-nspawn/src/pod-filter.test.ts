import assert from 'node:assert/strict';

import { podFilter } from './pod-filter.ts';

describe('filter of the pod', () => {
  const verdict = (name: string, capabilities: readonly string[] | 'all' = [], programs = false): unknown => {
    const { calls, otherwise } = podFilter(capabilities === 'all' ? undefined : capabilities, programs);
    return calls.get(name) ?? otherwise;
  };
  const REFUSED = { errno: 1 };

  it('refuses what no container should call, whatever it may do', () => {
    for (const name of [
      'keyctl',
      'add_key',
      'kexec_load',
      'open_by_handle_at',
      'swapon',
      'perf_event_open',
      'quotactl',
    ])
      assert.deepEqual(verdict(name, 'all', true), REFUSED, name);
  });
  it('allows what systemd and systemd-nspawn need', () => {
    for (const name of [
      'mount',
      'umount2',
      'pivot_root',
      'setns',
      'unshare',
      'clone3',
      'seccomp',
      'reboot',
      'mlock',
    ])
      assert.equal(verdict(name), 'allow', name);
  });
  it('follows capabilities', () => {
    for (const [capability, name] of [
      ['CAP_SYS_TIME', 'clock_settime'],
      ['CAP_SYS_MODULE', 'init_module'],
      ['CAP_SYSLOG', 'syslog'],
      ['CAP_BPF', 'bpf'],
    ] as const) {
      assert.deepEqual(verdict(name), REFUSED, name);
      assert.equal(verdict(name, [capability]), 'allow', name);
      assert.equal(verdict(name, 'all'), 'allow', name);
    }
  });
  it('lets PID 1 refuse devices where programs do that', () => {
    assert.deepEqual(verdict('bpf', [], false), REFUSED);
    assert.equal(verdict('bpf', [], true), 'allow');
  });
  it('knows nothing of newer calls', () => {
    assert.deepEqual(podFilter([], false).unknown, { errno: 38 });
  });
});
