// What is chosen for the guest, and how its results are counted. Runs in mocha.
import assert from 'node:assert/strict';

import { judge, pattern, type Selection } from './suites.ts';

const RUN: Selection = { file: 'run.test.ts', suite: 'run nspawn', tests: ['ends (in order)', 'stops'] };

describe('results of the guest', () => {
  it('are those of all lanes, whose lines may be mixed', () => {
    const output = [
      '  ok run nspawn stops at once (12 ms)',
      '  skip limits of memory [needs cgroup v1]',
      '1 passed, 0 failed, 1 skipped',
      '  FAIL run nspawn ends (in order)',
      '0 passed, 1 failed, 0 skipped',
      '',
    ].join('\n');
    const lanes = [[RUN], [{ file: 'limits.test.ts', suite: 'limits' }]];
    assert.deepEqual(judge(output, lanes), { passed: 1, failed: 1, skipped: 1, faults: [] });
  });

  it('are faulty when a chosen test is not there, or a run has died', () => {
    const { failed, faults } = judge('  ok run nspawn stops (1 ms)\n', [[RUN]]);
    assert.deepEqual(faults, [
      'no test of run.test.ts is called "run nspawn ends (in order)"',
      '1 of 1 runs ended before their last test',
    ]);
    assert.equal(failed, 2);
  });

  it('are of the chosen tests alone', () => {
    const grep = new RegExp(pattern(RUN));
    assert.ok(grep.test('run nspawn ends (in order), always'));
    assert.ok(!grep.test('run nspawn starts'));
    assert.ok(!grep.test('other run nspawn stops'));
  });
});
