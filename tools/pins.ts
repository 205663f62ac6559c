// `npm run pins`: moves every pin of build-stage1/debs.json to what the mirror has now. Runs on the developer's machine.
//
// Starts from the packages that the images name, adds all that these depend on by apt's own metadata, and keeps the
// ones that a file of an image really came from.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { addLibraries, PackageFiles } from './build-stage1/closure.ts';
import {
  fetchNewest,
  pinsFile,
  readPins,
  sha256File,
  unpackDeb,
  writePins,
  type Pin,
  type Pins,
} from './build-stage1/debs.ts';
import { addFlavor, FLAVORS, ROOT_PACKAGES } from './build-stage1/flavors.ts';
import { KERNEL_METAPACKAGE } from './build-stage1/guest.ts';
import { ImageTree } from './build-stage1/image-tree.ts';
import { pinnedNode } from './pinned-node.ts';
import { runTool, workspaceRoot } from './workspace.ts';

const PREFIX_OF_LIBRARIES = /^lib/;

/** The packages of libraries that `roots` depend on, directly or not, without recommendations. */
function dependencyClosure(roots: readonly string[]): string[] {
  const skip = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
    (kind) => `--no-${kind}`,
  );
  const apt = spawnSync('apt-cache', ['depends', '--recurse', ...skip, ...roots], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
  if (apt.status !== 0) throw new Error(`apt-cache depends: ${apt.stderr.trim()}`);
  const names = apt.stdout.split('\n').filter((line) => /^[a-z0-9]/.test(line) && !line.includes(':'));
  return [...new Set([...roots, ...names.filter((name) => PREFIX_OF_LIBRARIES.test(name))])];
}

/** The kernel that the metapackage stands for now; its name holds its version. */
function newestKernel(): string {
  const apt = spawnSync('apt-cache', ['depends', KERNEL_METAPACKAGE], {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
  const name = /^ *Depends: (linux-image-\S+)$/m.exec(apt.stdout)?.[1];
  if (name === undefined) throw new Error(`apt-cache depends: ${KERNEL_METAPACKAGE} depends on no kernel`);
  return name;
}

function readOldPins(): Pins {
  try {
    return readPins();
  } catch {
    return {};
  }
}

function main(): void {
  if (spawnSync('apt-get', ['update', '-q'], { stdio: ['ignore', 'ignore', 'inherit'] }).status !== 0) {
    throw new Error('apt-get update failed');
  }
  const directories = new Map<string, string>();
  const available = new Map<string, Pin>();
  for (const [name, { file, version }] of fetchNewest([
    ...dependencyClosure(ROOT_PACKAGES),
    newestKernel(),
  ])) {
    directories.set(name, unpackDeb(file));
    available.set(name, { version, sha256: sha256File(file) });
  }
  const used = new Set<string>();
  const files = new PackageFiles(directories);
  for (const flavor of FLAVORS) {
    const tree = new ImageTree();
    addFlavor(tree, flavor, files, Object.fromEntries(available), used);
    addLibraries(tree, pinnedNode, files, used);
  }
  const old = readOldPins();
  const pins = Object.fromEntries([...available].filter(([name]) => used.has(name)));
  for (const [name, pin] of Object.entries(pins)) {
    const before = old[name]?.version ?? 'not pinned';
    if (old[name]?.sha256 !== pin.sha256) console.log(`${name}: ${before} -> ${pin.version}`);
  }
  for (const name of Object.keys(old)) if (!(name in pins)) console.log(`${name}: no longer needed`);
  writePins(pins);
  console.log(`${path.relative(workspaceRoot, pinsFile)}: ${Object.keys(pins).length} packages`);
}

await runTool('pins', main);
