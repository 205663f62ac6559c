// Builds one stage1 image: `build.ts nspawn|fly [--frozen]` -> dist/stage1-<flavor>.aci and, beside it, a .json with
// its name, version and key, which dist/rkt is built with. Runs at build time, needs root for nothing.
//
// The image: our executable and the launcher as its entry points, the programs and libraries of debs.json, and over
// these the tree packages/stage1-<flavor>/aci/rootfs.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../bundle.ts';
import { pinnedNode } from '../pinned-node.ts';
import { buildSingleExecutable } from '../sea.ts';
import { bundlesDir, distDir, productVersion, runTool, workspaceRoot } from '../workspace.ts';
import { writeAci, type AciInfo } from './aci.ts';
import { addLibraries, PackageFiles } from './closure.ts';
import { fetchPackages, readPins } from './debs.ts';
import { addFlavor, FLAVORS, type Flavor } from './flavors.ts';
import { linkTools } from './network-programs.ts';
import { ImageTree } from './image-tree.ts';

interface Manifest {
  readonly annotations: readonly { readonly name: string; readonly value: string }[];
}

/** The executable's place in the image; launcher.c names it too. */
const EXECUTABLE = 'usr/lib/rkt/stage1';

function buildLauncher(work: string, ...options: string[]): Buffer {
  const output = path.join(work, 'launcher');
  const source = path.join(import.meta.dirname, 'launcher.c');
  execFileSync('tcc', ['-nostdlib', '-static', '-Wall', '-Werror', ...options, '-o', output, source]);
  return fs.readFileSync(output);
}

/** Bundles a flavour's program and says where the script is. */
export async function bundleStage1(flavor: Flavor): Promise<string> {
  const entry = path.join(workspaceRoot, `packages/stage1-${flavor}/src/bin/stage1.ts`);
  if (!fs.existsSync(entry)) throw new Error(`${path.relative(workspaceRoot, entry)}: no such file`);
  const script = path.join(bundlesDir, `stage1-${flavor}.cjs`);
  await bundle({ entry, output: script });
  return script;
}

async function buildExecutable(flavor: Flavor, work: string): Promise<Buffer> {
  const script = await bundleStage1(flavor);
  const executable = path.join(work, 'stage1');
  buildSingleExecutable({ script, output: executable, name: `stage1-${flavor}` });
  return fs.readFileSync(executable);
}

/** The files of the entry points, from the manifest's annotations: values that are paths. */
function entryPoints(manifest: string): string[] {
  const values = (JSON.parse(manifest) as Manifest).annotations.map((annotation) => annotation.value);
  return [...new Set(values.filter((value) => value.startsWith('/')).map((value) => value.slice(1)))].sort();
}

export interface BuildStage1Options {
  readonly flavor: Flavor;
  readonly frozen: boolean;
  /** Directory of the result. */
  readonly output: string;
  /** A script in place of our executable, to watch it run: tools/profile.ts. */
  readonly entryPoint?: string;
  readonly warn: (line: string) => void;
}

export async function buildStage1(options: BuildStage1Options): Promise<AciInfo> {
  const { flavor } = options;
  const source = path.join(workspaceRoot, `packages/stage1-${flavor}/aci`);
  const manifest = fs
    .readFileSync(path.join(source, 'manifest.json'), 'utf8')
    .replaceAll('{{version}}', productVersion());
  const pins = readPins();
  const files = new PackageFiles(fetchPackages(pins, options));
  const used = new Set<string>();
  const tree = new ImageTree();
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-stage1-'));
  try {
    addFlavor(tree, flavor, files, pins, used);
    addLibraries(tree, pinnedNode, files, used);
    const [first, ...others] = entryPoints(manifest);
    if (first === undefined) throw new Error(`${source}/manifest.json: no entry points`);
    if (options.entryPoint === undefined) {
      tree.file(EXECUTABLE, await buildExecutable(flavor, work), 0o755);
      tree.file(first, buildLauncher(work), 0o755);
    } else {
      tree.file(first, options.entryPoint, 0o755);
    }
    for (const other of others) tree.link(other, first);
    linkTools(tree, () => buildLauncher(work, '-DTOOL'));
    const rootfs = path.join(source, 'rootfs');
    if (fs.existsSync(rootfs)) tree.overlay(rootfs);
    const info = writeAci(path.join(options.output, `stage1-${flavor}.aci`), manifest, tree);
    const json = path.join(options.output, `stage1-${flavor}.json`);
    fs.writeFileSync(json, `${JSON.stringify(info, null, 2)}\n`);
    return info;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { frozen: { type: 'boolean' } },
  });
  const flavor = FLAVORS.find((name) => name === positionals[0]);
  if (flavor === undefined) throw new Error(`usage: build.ts ${FLAVORS.join('|')} [--frozen]`);
  const warn = (line: string): void => console.error(`warning: ${line}`);
  const started = performance.now();
  const info = await buildStage1({ flavor, frozen: values.frozen === true, output: distDir, warn });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const size = `${megabytes(info.compressedBytes)}, ${megabytes(info.uncompressedBytes)} unpacked`;
  console.log(`dist/stage1-${flavor}.aci: ${info.key.slice(0, 19)}, ${size}, ${seconds} s`);
}

if (import.meta.main) await runTool('build', main);
