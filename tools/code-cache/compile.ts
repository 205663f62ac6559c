// Compiles a script and its hot functions and prints V8's serialised code: `compile.ts SCRIPT END...`, offsets of the
// functions' last characters. Runs in a process of its own at build time, with a fixed hash seed.
//
// V8 compiles a function when it is first called, and a code cache holds what is compiled when it is made. Asking the
// debugger where it could stop in a function compiles that function without calling it.
import fs from 'node:fs';
import { Session, type Debugger } from 'node:inspector';
import path from 'node:path';
import { Script } from 'node:vm';

const [file = '', ...ends] = process.argv.slice(2);
const text = fs.readFileSync(file, 'latin1');
const session = new Session();
session.connect();

let scriptId = '';
session.on('Debugger.scriptParsed', ({ params }) => {
  if (params.url.endsWith(filename)) scriptId = params.scriptId;
});

// The same name at run time and here: it is part of what stack traces show.
const filename = path.basename(file);
const script = new Script(text, { filename });
// Evaluates to the function around the bundle, which is not called; the debugger knows evaluated scripts only.
const keep: unknown = script.runInThisContext();
session.post('Debugger.enable');

const lineStarts = [0];
for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);

function location(offset: number): Debugger.Location {
  const lineNumber = lineStarts.findLastIndex((start) => start <= offset);
  return { scriptId, lineNumber, columnNumber: offset - (lineStarts[lineNumber] ?? 0) };
}

for (const end of ends.map(Number)) {
  // The last character of a function belongs to it and to what surrounds it, never to a function inside.
  const range = { start: location(end - 1), end: location(end) };
  session.post('Debugger.getPossibleBreakpoints', range, (error) => {
    if (error !== null)
      throw new Error(`${file}: cannot compile the function that ends at ${end}: ${error.message}`);
  });
}
session.post('Debugger.disable');
if (keep === undefined || scriptId === '') throw new Error(`${file}: not compiled`);
process.stdout.write(script.createCachedData());
