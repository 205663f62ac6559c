// Builds dist/rkt: the command as one executable, which knows the stage1 image that was built with it; and what is
// installed beside it: dist/man, dist/units.
// Runs at build time, after the nspawn image.
import fs from 'node:fs';
import path from 'node:path';
import type { AciInfo } from './build-stage1/aci.ts';
import { bundle, bundleLibrary } from './bundle.ts';
import { writeManPages } from './man.ts';
import { buildSingleExecutable, type ThreadProgram } from './sea.ts';
import { bundlesDir, distDir, productVersion, readJson, runTool, workspaceRoot } from './workspace.ts';

/** Libraries of the API service and of signatures: two thirds of the text that every other start would read. */
const LIBRARIES = ['@grpc/grpc-js', 'openpgp'];

/** Programs of threads; packages/stage0/src/treestore/second-thread.ts asks for this one. */
const THREADS = { 'copy-thread': 'packages/stage0/src/treestore/copy-thread.ts' };

/** Commands that make pods, first those that copy for it. */
const LAUNCHES = [
  { name: 'stage0-copies', words: ['--no-overlay'] },
  { name: 'stage0-launches', words: ['run', 'prepare', 'run-prepared'] },
];

/** Bundles the command into `script`, for the stage1 image in dist. */
export async function bundleRkt(script: string): Promise<number> {
  const stage1 = readJson<AciInfo>(path.join(distDir, 'stage1-nspawn.json'));
  // What packages/stage0/src/build-info.ts declares.
  const buildInfo = {
    version: productVersion(),
    stage1Name: stage1.name,
    stage1Version: stage1.version,
    stage1FileName: 'stage1-nspawn.aci',
    stage1Key: stage1.key,
  };
  const entry = path.join(workspaceRoot, 'packages/stage0/src/bin/rkt.ts');
  const { bytes } = await bundle({
    entry,
    output: script,
    define: { RKT_BUILD_INFO: buildInfo },
    apart: LIBRARIES,
  });
  return bytes;
}

/** Bundles the programs of threads, to beside the script. They call what the main thread calls beside them. */
export async function bundleThreads(): Promise<Record<string, ThreadProgram>> {
  const threads: Record<string, ThreadProgram> = {};
  for (const [name, entry] of Object.entries(THREADS)) {
    const script = path.join(bundlesDir, `${name}.cjs`);
    await bundle({ entry: path.join(workspaceRoot, entry), output: script });
    threads[name] = { script, hotFunctions: 'stage0-copies' };
  }
  return threads;
}

async function main(): Promise<void> {
  const script = path.join(bundlesDir, 'stage0.cjs');
  const bytes = await bundleRkt(script);
  const libraries: Record<string, string> = {};
  for (const name of LIBRARIES) {
    libraries[name] = path.join(bundlesDir, `${path.basename(name)}.cjs`);
    await bundleLibrary(name, libraries[name]);
  }
  const output = path.join(distDir, 'rkt');
  buildSingleExecutable({
    script,
    output,
    name: 'stage0',
    libraries,
    threads: await bundleThreads(),
    specials: LAUNCHES,
  });
  fs.copyFileSync(`${script}.map`, `${output}.map`);
  await writeManPages(path.join(distDir, 'man'));
  const units = path.join(distDir, 'units');
  fs.rmSync(units, { recursive: true, force: true });
  fs.cpSync(path.join(workspaceRoot, 'packages/stage0/units'), units, { recursive: true });
  const size = (fs.statSync(output).size / 1e6).toFixed(1);
  console.log(`dist/rkt: ${productVersion()}, script ${(bytes / 1e3).toFixed(0)} kB, ${size} MB`);
}

if (import.meta.main) await runTool('build', main);
