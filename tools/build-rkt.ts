// Builds dist/rkt: the command as one executable, which knows the stage1 image that was built with it.
// Runs at build time, after the nspawn image.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { AciInfo } from './build-stage1/aci.ts';
import { bundle } from './bundle.ts';
import { buildSingleExecutable } from './sea.ts';
import { distDir, productVersion, readJson, runTool, workspaceRoot } from './workspace.ts';

async function buildRkt(): Promise<void> {
  const stage1 = readJson<AciInfo>(path.join(distDir, 'stage1-nspawn.json'));
  // What packages/stage0/src/build-info.ts declares.
  const buildInfo = {
    version: productVersion(),
    stage1Name: stage1.name,
    stage1Version: stage1.version,
    stage1FileName: 'stage1-nspawn.aci',
    stage1Key: stage1.key,
  };
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-build-'));
  try {
    const script = path.join(work, 'rkt.cjs');
    const entry = path.join(workspaceRoot, 'packages/stage0/src/bin/rkt.ts');
    const { bytes } = await bundle({ entry, output: script, define: { RKT_BUILD_INFO: buildInfo } });
    const output = path.join(distDir, 'rkt');
    buildSingleExecutable(script, output);
    fs.copyFileSync(`${script}.map`, `${output}.map`);
    const size = (fs.statSync(output).size / 1e6).toFixed(1);
    console.log(`dist/rkt: ${buildInfo.version}, script ${(bytes / 1e3).toFixed(0)} kB, ${size} MB`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

await runTool('build', buildRkt);
