// Loaded by mocha before any test (.mocharc.json): properties that name no count get theirs here, and `npm run fuzz`
// its seed. Runs in the test process.

import fc from 'fast-check';

import { fuzzRequest, runs } from './runs.ts';

const { seed, limitMs } = fuzzRequest();
fc.configureGlobal({
  numRuns: runs(),
  ...(seed === undefined ? {} : { seed }),
  ...(limitMs === undefined ? {} : { interruptAfterTimeLimit: limitMs }),
});
