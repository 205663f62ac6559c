// `npm run build`: dist/rkt and the stage1 images, each an Nx target that is replayed from the cache when nothing it is
// made of has changed. Runs on the developer's machine or in CI.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { distDir, runTool, workspaceRoot } from './workspace.ts';

const PROJECTS = ['stage0', 'stage1-nspawn', 'stage1-fly', 'stage1-kvm', 'stage1-example'];
const RESULTS = ['rkt', 'stage1-nspawn.aci', 'stage1-fly.aci', 'stage1-kvm.aci', 'stage1-example.aci'];

/** Builds what is out of date. Throws when a target fails; its output has been shown then. */
export function build(): void {
  const nx = path.join(workspaceRoot, 'node_modules/.bin/nx');
  const words = ['run-many', '-t', 'build', '-p', PROJECTS.join(','), '--parallel=2', '--outputStyle=static'];
  const result = spawnSync(nx, words, {
    cwd: workspaceRoot,
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', FORCE_COLOR: '0' },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}`);
    throw new Error('build failed');
  }
  for (const warning of result.stdout.split('\n').filter((line) => line.startsWith('warning: '))) {
    console.error(warning);
  }
}

function main(): void {
  const started = performance.now();
  build();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const sizes = RESULTS.map((name) => {
    const bytes = fs.statSync(path.join(distDir, name)).size;
    return `dist/${name} (${(bytes / 1e6).toFixed(0)} MB)`;
  });
  console.log(`built ${sizes.join(', ')} in ${seconds} s`);
}

if (import.meta.main) await runTool('build', main);
