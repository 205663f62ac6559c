// What a virtual machine of the kvm image starts from: Debian's cloud kernel, and a first root with the modules that
// lead to the pod's own root. Runs at build time.
import fs from 'node:fs';
import path from 'node:path';
import { sourceDate } from './aci.ts';
import type { PackageFiles, UsedPackages } from './closure.ts';
import type { Pins } from './debs.ts';
import type { ImageTree } from './image-tree.ts';
import { newcArchive, type NewcEntry } from './newc.ts';

/** The package that depends on the newest kernel; pinned is what it depends on. */
export const KERNEL_METAPACKAGE = 'linux-image-cloud-amd64';
const KERNEL_PACKAGE = /^linux-image-(\d.*-cloud-amd64)$/;

/** Places in the image; packages/stage1-kvm/src/qemu-args.ts names them too. */
const KERNEL = 'usr/lib/rkt/guest/kernel';
const INITRD = 'usr/lib/rkt/guest/initrd';

/** Modules without which there is no root, and those for which the init program asks when the pod needs them. */
const ROOT_MODULES: readonly string[] = ['virtio_pci', 'virtio_console', 'virtiofs', 'virtio_rng', 'autofs4'];
const NETWORK_MODULES: readonly string[] = ['virtio_net'];

const BUSYBOX = 'usr/bin/busybox';

/** Puts kernel and first root into the image. */
export function addGuest(tree: ImageTree, pins: Pins, files: PackageFiles, used: UsedPackages): void {
  const release = Object.keys(pins).flatMap((name) => KERNEL_PACKAGE.exec(name)?.[1] ?? [])[0];
  if (release === undefined) throw new Error('no pinned package is a kernel: run `npm run pins`');
  const kernel = take(files, used, `boot/vmlinuz-${release}`);
  const busybox = take(files, used, 'bin/busybox');
  tree.file(KERNEL, fs.readFileSync(kernel));
  tree.file(BUSYBOX, fs.readFileSync(busybox), 0o755);
  const initrd = firstRoot({
    busybox: fs.readFileSync(busybox),
    init: fs.readFileSync(path.join(import.meta.dirname, 'guest-init')),
    modules: path.join(path.dirname(kernel), '../lib/modules', release),
    groups: { root: ROOT_MODULES, net: NETWORK_MODULES },
  });
  tree.file(INITRD, initrd);
}

function take(files: PackageFiles, used: UsedPackages, name: string): string {
  const found = files.find(name);
  if (found === undefined) throw new Error(`no pinned package has ${name}: run \`npm run pins\``);
  used.add(found.packageName);
  return found.file;
}

/** What a first root is made of. */
export interface FirstRoot {
  /** A static one. */
  readonly busybox: Buffer;
  readonly init: Buffer;
  /** Directory of a kernel's modules, which are not compressed. */
  readonly modules: string;
  /** Name of a list below /modules to the modules in it. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/**
 * The first root of a kernel, as the archive that it unpacks: the lists name each module after those that it needs.
 * Throws when a module is neither there nor built in.
 */
export function firstRoot({ busybox, init, modules: directoryOfAll, groups }: FirstRoot): Buffer {
  const modules = readModules(directoryOfAll);
  const builtIn = fs.readFileSync(path.join(directoryOfAll, 'modules.builtin'), 'utf8');
  for (const name of Object.values(groups).flat()) {
    if (
      !modules.has(name) &&
      !builtIn.includes(`/${name}.ko`) &&
      !builtIn.includes(`/${name.replaceAll('_', '-')}.ko`)
    )
      throw new Error(`the kernel has no module ${name}`);
  }
  const lists = Object.entries(groups).map(([name, wanted]) => [name, inOrder(wanted, modules)] as const);
  const names = [...new Set(lists.flatMap(([, list]) => list))].sort();
  const directory = (name: string): NewcEntry => ({ type: 'directory', name, mode: 0o755 });
  const file = (name: string, content: Buffer | string, mode = 0o644): NewcEntry => ({
    type: 'file',
    name,
    mode,
    content: Buffer.from(content),
  });
  return newcArchive(
    [
      ...['bin', 'dev', 'modules', 'proc', 'root', 'sys'].map(directory),
      // What the kernel opens for the init program, before there is a devtmpfs.
      { type: 'device', name: 'dev/console', mode: 0o600, major: 5, minor: 1 },
      { type: 'device', name: 'dev/null', mode: 0o666, major: 1, minor: 3 },
      file('bin/busybox', busybox, 0o755),
      { type: 'symlink', name: 'bin/sh', mode: 0o777, target: 'busybox' },
      file('init', init, 0o755),
      ...names.map((name) => file(`modules/${name}.ko`, modules.get(name)?.content ?? '')),
      ...lists.map(([name, list]) => file(`modules/${name}`, `${list.join('\n')}\n`)),
    ],
    sourceDate().getTime() / 1000,
  );
}

interface Module {
  readonly content: Buffer;
  readonly needs: readonly string[];
}

/** All modules of a kernel, by the names the kernel knows them by. */
function readModules(directory: string): ReadonlyMap<string, Module> {
  const found = new Map<string, Module>();
  for (const item of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!item.isFile() || !item.name.endsWith('.ko')) continue;
    const content = fs.readFileSync(path.join(item.parentPath, item.name));
    found.set(kernelName(item.name.slice(0, -'.ko'.length)), { content, needs: dependencies(content) });
  }
  return found;
}

/** The names in `depends=` of a module's section .modinfo, whose strings end with a NUL. */
export function dependencies(module: Buffer): string[] {
  const key = '\0depends=';
  const start = module.indexOf(key, 0, 'latin1');
  if (start === -1) return [];
  const value = module.subarray(start + key.length, module.indexOf(0, start + key.length));
  return value.toString('latin1').split(',').filter(Boolean).map(kernelName);
}

/** Each module after those that it needs. A name without a module is built into the kernel. */
export function inOrder(
  wanted: readonly string[],
  modules: ReadonlyMap<string, Pick<Module, 'needs'>>,
): string[] {
  const order = new Set<string>();
  const visit = (name: string): void => {
    const module = modules.get(name);
    if (module === undefined || order.has(name)) return;
    module.needs.forEach(visit);
    order.add(name);
  };
  wanted.forEach(visit);
  return [...order];
}

const kernelName = (name: string): string => name.replaceAll('-', '_');
