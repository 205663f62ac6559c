// Preloaded by `npm run profile` into rkt and its stage1 programs: records which functions of the script were called,
// as JSON below $RKT_PROFILE, when the process ends or becomes another program. Runs in those processes.
'use strict';
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const { Session } = require('node:inspector');
const path = require('node:path');

const directory = process.env.RKT_PROFILE;
if (directory) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  const script = `file://${fs.realpathSync(process.argv[1])}`;
  // Opened now: a stage1 that becomes its app has another root by then.
  const file = path.join(directory, `${path.basename(script, '.cjs')}-${randomUUID()}.json`);
  const record = fs.openSync(file, 'wx');

  const write = () => {
    session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error) throw error;
      const functions = coverage.result.filter(({ url }) => url === script).flatMap((each) => each.functions);
      const called = functions.filter(({ ranges }) => ranges[0].count > 0);
      const ranges = called.map(({ ranges: [{ startOffset, endOffset }] }) => [startOffset, endOffset]);
      fs.writeFileSync(record, JSON.stringify(ranges));
    });
  };

  // The executable holds programs of threads; here they lie beside the script.
  const sea = process.getBuiltinModule('node:sea');
  sea.isSea = () => true;
  sea.getAsset = (name) => fs.readFileSync(path.join(path.dirname(process.argv[1]), `${name}.cjs`), 'latin1');

  process.on('exit', write);
  const { prototype } = process.getBuiltinModule('node:ffi').DynamicLibrary;
  const { getFunction } = prototype;
  prototype.getFunction = function (name, signature) {
    const bound = getFunction.call(this, name, signature);
    if (name !== 'execve') return bound;
    return (...words) => {
      write();
      return bound(...words);
    };
  };
}
