import assert from 'node:assert/strict';

import { capabilityNumber, capabilitySet } from '@rkt/linux/constants';
import fc from 'fast-check';

import type { AppProcess } from './app-process.ts';
import { planLaunch } from './launch-plan.ts';
import type { CallerFacts, LaunchStep } from './launch-plan.ts';

const APP: AppProcess = {
  root: '/root',
  workingDirectory: '/srv',
  executable: '/bin/srv',
  argv: ['srv'],
  environment: [],
  uid: 1000,
  gid: 100,
  supplementaryGids: [400, 100],
};

const ALL = (1n << 41n) - 1n;

function caller(change: Partial<CallerFacts> = {}): CallerFacts {
  return {
    uid: 0,
    gid: 0,
    groups: [],
    capabilities: () => ({ permitted: ALL, inheritable: 1n, bounding: ALL, last: 40 }),
    capabilityNumber,
    ...change,
  };
}

const mask = (...names: string[]): bigint => capabilitySet(names.map((name) => capabilityNumber(name) ?? -1));
const names = (steps: readonly LaunchStep[]): string[] => [...new Set(steps.map(({ call }) => call))];

describe('launch plan', () => {
  it('has the order that each step needs', () => {
    const steps = planLaunch(
      {
        ...APP,
        boundingCapabilities: ['CAP_CHOWN'],
        ambientCapabilities: ['CAP_CHOWN'],
        noNewPrivileges: true,
      },
      caller(),
    );
    assert.deepEqual(names(steps), [
      'umask',
      'chroot',
      'chdir',
      'setgroups',
      'setresgid',
      'drop-bounding',
      'clear-ambient',
      'keep-capabilities',
      'setresuid',
      'capset',
      'raise-ambient',
      'no-new-privileges',
    ]);
    assert.equal(steps.filter(({ call }) => call === 'drop-bounding').length, 40);
  });

  it('leaves the root before it changes directory', () => {
    const steps = planLaunch(APP, caller());
    assert.deepEqual(steps.slice(1, 4), [
      { call: 'chroot', path: '/root' },
      { call: 'chdir', path: '/' },
      { call: 'chdir', path: '/srv' },
    ]);
    assert.deepEqual(planLaunch({ ...APP, root: '/' }, caller())[1], { call: 'chdir', path: '/srv' });
  });

  it('gives exactly the groups asked for, the main one among them', () => {
    const steps = planLaunch(APP, caller({ groups: [0, 7] }));
    assert.deepEqual(
      steps.find(({ call }) => call === 'setgroups'),
      { call: 'setgroups', gids: [100, 400] },
    );
  });

  it('asks for nothing that is so already', () => {
    const same: AppProcess = { ...APP, uid: 0, gid: 0, supplementaryGids: [], workingDirectory: '/' };
    assert.deepEqual(names(planLaunch(same, caller({ groups: [0] }))), ['umask', 'chroot', 'chdir']);
  });

  it('leaves root with its bounding set and nothing inheritable', () => {
    const app: AppProcess = {
      ...APP,
      uid: 0,
      boundingCapabilities: ['cap_chown', 'CAP_KILL', 'CAP_FROM_THE_FUTURE'],
    };
    const set = mask('CAP_CHOWN', 'CAP_KILL');
    assert.deepEqual(
      planLaunch(app, caller()).find(({ call }) => call === 'capset'),
      { call: 'capset', effective: set, permitted: set, inheritable: 0n },
    );
  });

  it('leaves others nothing but what is ambient', () => {
    const app: AppProcess = { ...APP, boundingCapabilities: ['CAP_CHOWN', 'CAP_KILL'] };
    const capset = (ambientCapabilities: string[]): LaunchStep | undefined =>
      planLaunch({ ...app, ambientCapabilities }, caller()).find(({ call }) => call === 'capset');
    assert.deepEqual(capset([]), { call: 'capset', effective: 0n, permitted: 0n, inheritable: 0n });
    const kill = mask('CAP_KILL');
    assert.deepEqual(capset(['CAP_KILL']), {
      call: 'capset',
      effective: kill,
      permitted: kill,
      inheritable: kill,
    });
  });

  it('refuses ambient capabilities outside of the bounding set', () => {
    const app: AppProcess = {
      ...APP,
      boundingCapabilities: ['CAP_CHOWN'],
      ambientCapabilities: ['CAP_KILL'],
    };
    assert.throws(() => planLaunch(app, caller()), { code: 'bad-spec' });
  });

  it('never ends with more than the caller had or the description allows', () => {
    const sets = fc.subarray(['CAP_CHOWN', 'CAP_KILL', 'CAP_SYS_ADMIN', 'CAP_SYS_TIME', 'CAP_SETUID']);
    fc.assert(
      fc.property(sets, sets, fc.integer({ min: 0, max: 2 }), (bounding, permitted, uid) => {
        const had = mask(...permitted);
        const facts = caller({
          capabilities: () => ({ permitted: had, inheritable: had, bounding: had, last: 40 }),
        });
        const steps = planLaunch({ ...APP, uid, boundingCapabilities: bounding }, facts);
        const set = steps.find((step) => step.call === 'capset');
        assert.ok(set?.call === 'capset');
        const allowed = had & mask(...bounding);
        assert.equal(set.permitted | allowed, allowed);
        assert.equal(set.effective, set.permitted);
        assert.equal(set.inheritable, 0n);
        const dropped = steps.flatMap((step) => (step.call === 'drop-bounding' ? [step.capability] : []));
        assert.equal(capabilitySet(dropped), had & ~mask(...bounding));
      }),
    );
  });
});
