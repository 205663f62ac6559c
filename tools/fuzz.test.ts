// What `npm run fuzz` takes from its command line. Runs in mocha.
import assert from 'node:assert/strict';
import { fuzzEnvironment, fuzzRequest } from '@rkt/property-runs/runs';
import { fuzzPlan, propertyTests } from './fuzz.ts';

const TESTS = ['packages/a/src/unpack/x.test.ts', 'packages/b/src/y.test.ts'];

describe('fuzz', () => {
  it('takes all property tests, or those that are named', () => {
    assert.deepEqual(fuzzPlan([], TESTS).files, TESTS);
    assert.deepEqual(fuzzPlan(['unpack'], TESTS).files, [TESTS[0]]);
    assert.throws(() => fuzzPlan(['nothing'], TESTS), /no property test is called like nothing/);
  });
  it('takes time, runs and seed', () => {
    const plan = fuzzPlan(['--minutes', '10', '--runs=2.5', '--seed=7', 'y'], TESTS);
    assert.deepEqual(plan, { files: [TESTS[1]], minutes: 10, factor: 2.5, seed: 7, listOnly: false });
    for (const bad of ['0', '-1', 'x', 'Infinity'])
      assert.throws(() => fuzzPlan([`--minutes=${bad}`], TESTS), /no number above zero/);
    assert.throws(() => fuzzPlan(['--hours=1'], TESTS), /Unknown option/);
  });
  it('tells the tests through the environment', () => {
    const request = { factor: 2.5, seed: 7, limitMs: 1000 };
    assert.deepEqual(fuzzRequest(fuzzEnvironment(request)), request);
    assert.deepEqual(fuzzRequest({}), { factor: 1, seed: undefined, limitMs: undefined });
  });
  it('knows the property tests of this repository', () => {
    const found = propertyTests();
    assert.ok(found.includes('packages/stage0/src/unpack/differential.test.ts'));
    assert.ok(found.includes('packages/spec/src/port.test.ts'));
    assert.ok(!found.includes('packages/stage0/src/unpack/hostile.test.ts'));
  });
});
