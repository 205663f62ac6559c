// `npm run conformance -- FILE [OPTION OF mocha...]`: judges a stage1 image by the conformance suite. FILE declares what it
// can do and what not (docs/stage1-guide.md). Runs on the developer's machine, as root.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { runTool, workspaceRoot } from './workspace.ts';

function main(): void {
  const [file, ...options] = process.argv.slice(2);
  if (file === undefined) throw new Error('usage: npm run conformance -- FILE [OPTION OF mocha...]');
  // npm starts its scripts in the root of the clone.
  const declaration = path.resolve(process.env['INIT_CWD'] ?? '.', file);
  fs.accessSync(declaration);
  if (process.getuid?.() !== 0) throw new Error('pods run as root: run this as root');
  const mocha = path.join(workspaceRoot, 'node_modules/.bin/mocha');
  const words = ['--config', 'e2e/.mocharc.json', 'e2e/suites/flavours.test.ts', ...options];
  const { status } = spawnSync(mocha, words, {
    cwd: workspaceRoot,
    env: { ...process.env, RKT_FLAVOUR_FILE: declaration },
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}

await runTool('conformance', main);
