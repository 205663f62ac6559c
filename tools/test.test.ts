// How the steps of `npm test` are counted. Runs in mocha.
import assert from 'node:assert/strict';
import { countsOf } from './test.ts';

describe('counts of a test step', () => {
  it('are the last closing line', () => {
    assert.deepEqual(countsOf('1 passed, 0 failed, 0 skipped\nx\n12 passed, 3 failed, 4 skipped\n', 3), {
      passed: 12,
      failed: 3,
      skipped: 4,
    });
  });

  it('are one check when the step has no tests', () => {
    assert.deepEqual(countsOf('all fine\n', 0), { passed: 1, failed: 0, skipped: 0 });
    assert.deepEqual(countsOf('broken\n', 1), { passed: 0, failed: 1, skipped: 0 });
  });

  it('show a runner that failed although its tests did not', () => {
    assert.deepEqual(countsOf('5 passed, 0 failed, 0 skipped\n', 1), { passed: 5, failed: 1, skipped: 0 });
  });
});
