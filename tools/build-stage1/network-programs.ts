// The CNI plugins of the nspawn image and the packet filter tools that these call. All run on the host, on behalf of a
// pod, with the loader and the libraries of the image. Runs at build time.
import fs from 'node:fs';
import path from 'node:path';
import {
  addLibraries,
  HOST_LIBRARY_DIR,
  LIBRARY_DIR,
  type PackageFiles,
  type UsedPackages,
} from './closure.ts';
import type { ImageTree } from './image-tree.ts';

/** What is executed: the launcher, under the name of each program. */
const ENTRIES = 'usr/lib/rkt/plugins';
/** What the launcher starts, by the same names; launcher.c names both. */
const PROGRAMS = 'usr/lib/rkt/programs';

/** Directory of extensions that iptables loads by name: in packages, and in the image. */
const EXTENSIONS = `${LIBRARY_DIR}/xtables`;
const OUR_EXTENSIONS = `${HOST_LIBRARY_DIR}/xtables`;

const PLUGINS: readonly string[] = [
  'bandwidth',
  'bridge',
  'dhcp',
  'firewall',
  'host-device',
  'host-local',
  'ipvlan',
  'macvlan',
  'portmap',
  'ptp',
  'sbr',
  'static',
  'tuning',
  'vlan',
  'vrf',
];

/** Names by which plugins and we call iptables; each is a link to one program that looks at its own name. */
const IPTABLES: readonly string[] = ['', '-save', '-restore'].flatMap((suffix) => [
  `iptables${suffix}`,
  `ip6tables${suffix}`,
]);

/** Puts the programs into the image. */
export function addNetworkPrograms(tree: ImageTree, files: PackageFiles, used: UsedPackages): void {
  for (const plugin of PLUGINS) add(tree, `usr/lib/cni/${plugin}`, `net/${plugin}`, files, used);
  add(tree, 'usr/sbin/nft', 'nft/nft', files, used);
  for (const [directory, program] of [
    ['nft', 'xtables-nft-multi'],
    ['legacy', 'xtables-legacy-multi'],
  ] as const) {
    const [first = '', ...others] = IPTABLES;
    add(tree, `usr/sbin/${program}`, `${directory}/${first}`, files, used);
    for (const other of others)
      tree.link(`${PROGRAMS}/${directory}/${other}`, `${PROGRAMS}/${directory}/${first}`);
  }
  addExtensions(tree, files, used);
}

function add(tree: ImageTree, from: string, to: string, files: PackageFiles, used: UsedPackages): void {
  const found = files.find(from);
  if (found === undefined) throw new Error(`no pinned package has ${from}: run \`npm run pins\``);
  used.add(found.packageName);
  tree.file(`${PROGRAMS}/${to}`, fs.readFileSync(found.file), 0o755);
  addLibraries(tree, found.file, files, used, { forHost: true });
}

function addExtensions(tree: ImageTree, files: PackageFiles, used: UsedPackages): void {
  // Found by one that is always there.
  const known = files.find(`${EXTENSIONS}/libxt_standard.so`);
  if (known === undefined) throw new Error(`no pinned package has ${EXTENSIONS}: run \`npm run pins\``);
  const directory = path.dirname(known.file);
  for (const name of fs.readdirSync(directory).sort()) {
    const found = files.find(`${EXTENSIONS}/${name}`);
    if (found === undefined || !name.endsWith('.so')) continue;
    used.add(found.packageName);
    tree.file(`${OUR_EXTENSIONS}/${name}`, fs.readFileSync(found.file), 0o644);
    addLibraries(tree, found.file, files, used, { forHost: true });
  }
}

/** Makes every program of the image executable from the host, through `launcher`. */
export function linkTools(tree: ImageTree, launcher: () => Buffer): void {
  const names = tree
    .sorted()
    .map(([name]) => name)
    .filter((name) => name.startsWith(`${PROGRAMS}/`) && name.split('/').length === 6);
  const entries = names.map((name) => `${ENTRIES}${name.slice(PROGRAMS.length)}`);
  const [first, ...others] = entries;
  if (first === undefined) return;
  tree.file(first, launcher(), 0o755);
  for (const other of others) tree.link(other, first);
}
