// Mocha reporter of the whole repository: failures as they happen, and a last line any CI can read.
// Runs in the mocha process.
'use strict';
const { reporters, Runner } = require('mocha');

class RktReporter extends reporters.Base {
  constructor(runner, options) {
    super(runner, options);
    const verbose = Boolean(process.env.RKT_TEST_VERBOSE);
    let skipped = 0;
    runner.on(Runner.constants.EVENT_TEST_PENDING, (test) => {
      skipped += 1;
      console.log(`  skip ${test.fullTitle()}`);
    });
    runner.on(Runner.constants.EVENT_TEST_PASS, (test) => {
      if (verbose || test.speed === 'slow') console.log(`  ok ${test.fullTitle()} (${test.duration} ms)`);
    });
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test) => console.log(`  FAIL ${test.fullTitle()}`));
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      if (this.failures.length > 0) reporters.Base.list(this.failures);
      console.log(`${this.stats.passes} passed, ${this.stats.failures} failed, ${skipped} skipped`);
    });
  }
}

module.exports = RktReporter;
