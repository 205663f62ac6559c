// What the rows of the bench run on: data directories, images, pods and a bare container. Runs in the bench process.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { aciFromDirectory, writeAci } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';
import { hierarchies, removeCgroup } from '@rkt/linux/cgroup';
import { dataDir as brandedDataDir } from '@rkt/pod-layout/data-dir';
import { podDir, podStateDir, subcgroupFile } from '@rkt/pod-layout/pod-paths';
import { cacheDir, distDir } from '../workspace.ts';
import { CLEAN_ENVIRONMENT, timeOnce } from './measure.ts';

export const benchDir: string = path.join(cacheDir, 'bench');
export const rkt: string = process.env['RKT_BIN'] ?? path.join(distDir, 'rkt');
export const flyImage: string = path.join(distDir, 'stage1-fly.aci');

/** A program that does nothing, without a C library; the smallest app there is. */
export function staticTrue(): string {
  const source = path.join(benchDir, 'true.c');
  const output = path.join(benchDir, 'true');
  fs.writeFileSync(
    source,
    'void _start(void) { __asm__ volatile("syscall" : : "a"(231L), "D"(0L)); for (;;); }\n',
  );
  execFileSync('tcc', ['-nostdlib', '-static', '-o', output, source]);
  return output;
}

export interface Image {
  readonly file: string;
  readonly key: string;
}

/** An image whose app is {@link staticTrue}. */
export function trueImage(): Image {
  const content = fs.readFileSync(staticTrue());
  const manifest = imageManifest({ name: 'example.com/true', exec: ['/true'] });
  const { path: file, key } = writeAci(path.join(benchDir, 'true.aci'), {
    manifest,
    files: [{ path: '/true', mode: 0o755, content }],
  });
  return { file, key };
}

/** An image whose app sleeps until it is killed. */
export function sleepImage(): Image {
  const manifest = imageManifest({ name: 'example.com/sleep', exec: ['/busybox', 'sleep', '1000'] });
  const { path: file, key } = writeAci(path.join(benchDir, 'sleep.aci'), {
    manifest,
    files: [{ path: '/busybox', mode: 0o755, content: fs.readFileSync('/bin/busybox') }],
  });
  return { file, key };
}

/**
 * The gzipped image of a real Debian root as debootstrap leaves it, package files and lists included: 110 MB, 8,000
 * entries. Made at the first use, which takes a minute or two; kept.
 */
export function debian(): string {
  const image = path.join(benchDir, 'debian.aci');
  if (fs.existsSync(image)) return image;
  const root = path.join(benchDir, 'debian-root');
  fs.rmSync(root, { recursive: true, force: true });
  execFileSync(
    'debootstrap',
    ['--variant=minbase', '--include=curl,openssl,procps,python3-minimal', 'bookworm', root],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const manifest = imageManifest({ name: 'example.com/debian', exec: ['/bin/bash'] });
  aciFromDirectory(root, manifest, `${image}.new`, 'gzip');
  fs.renameSync(`${image}.new`, image);
  removeTree(root);
  return image;
}

/** The command rkt with a data directory below .cache/bench, and no configuration of the machine. */
export function rktWith(name: string): { command: string[]; data: string } {
  const data = path.join(benchDir, name);
  const empty = path.join(benchDir, 'no-config');
  fs.mkdirSync(empty, { recursive: true });
  const configs = ['local-config', 'system-config', 'user-config'].map((flag) => `--${flag}=${empty}`);
  return { command: [rkt, `--dir=${data}`, ...configs, '--insecure-options=image'], data };
}

/** Its time is that of the last {@link removeTree}. */
const removedFile = path.join(benchDir, 'removed');
/** Longer than ext4 without a journal passes by the inodes of deleted files: 360 s (recently_deleted in fs/ext4/ialloc.c). */
const RECENTLY_REMOVED_MS = 370_000;

/** Removes a tree of many files, if it is there. */
export function removeTree(directory: string): void {
  if (!fs.existsSync(directory)) return;
  fs.rmSync(directory, { recursive: true });
  fs.writeFileSync(removedFile, '');
}

/** Waits until new files cost what they cost where no tree was removed of late. */
export async function inodesAreFree(): Promise<void> {
  const removed = fs.statSync(removedFile, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const left = removed + RECENTLY_REMOVED_MS - Date.now();
  if (left <= 0) return;
  console.error(`waiting ${Math.ceil(left / 1000)} s for the inodes of removed trees`);
  await sleep(left);
}

/** Removes a data directory and whatever a pod in it has left mounted. */
export function removeData(data: string): void {
  const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const points = mounts
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${data}/`));
  for (const point of points.reverse()) spawnSync('umount', ['-l', point]);
  removeCgroups(data);
  removeTree(data);
}

// gc would do it, and take a minute for the rows with a thousand pods, which all have one control group.
function removeCgroups(data: string): void {
  const recorded = fs
    .globSync(subcgroupFile(podDir(path.join(podStateDir(brandedDataDir(data), 'run'), '*'))))
    .map((file) => fs.readFileSync(file, 'utf8').trim());
  // Under a service manager it is the service's, and not ours to remove.
  for (const name of new Set(recorded.filter((each) => path.basename(each).startsWith('machine-rkt')))) {
    for (const { mountPoint } of hierarchies()) {
      const directory = path.join(mountPoint, name);
      if (fs.existsSync(directory)) removeCgroup(directory);
    }
  }
}

/** Runs one fly pod and copies its directory, exited as it is, until there are `count`. */
export function exitedPods(command: readonly string[], data: string, image: string, count: number): void {
  timeOnce([...command, 'run', '--net=host', `--stage1-image=${flyImage}`, image]);
  const run = podStateDir(brandedDataDir(data), 'run');
  const [first] = fs.readdirSync(run);
  if (first === undefined) throw new Error(`${run}: no pod`);
  for (let made = 1; made < count; made += 1) {
    execFileSync('cp', ['-a', '--one-file-system', path.join(run, first), path.join(run, randomUUID())]);
  }
}

/**
 * The same stage1 root with nothing of ours in the way: its systemd-nspawn, its systemd, and one unit that runs true.
 * Returns the command that boots it.
 */
export function bareContainer(): string[] {
  const directory = path.join(benchDir, 'bare');
  const root = path.join(directory, 'rootfs');
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  execFileSync('tar', ['-xpf', path.join(distDir, 'stage1-nspawn.aci'), '-C', directory]);
  const units = path.join(root, 'usr/lib/systemd/system');
  fs.rmSync(units, { recursive: true, force: true });
  fs.mkdirSync(units, { recursive: true });
  fs.copyFileSync(staticTrue(), path.join(root, 'true'));
  fs.writeFileSync(path.join(units, 'default.target'), '[Unit]\nDefaultDependencies=no\nWants=app.service\n');
  fs.writeFileSync(
    path.join(units, 'app.service'),
    '[Unit]\nDefaultDependencies=no\nSuccessAction=exit-force\nFailureAction=exit-force\n[Service]\nExecStart=/true\n',
  );
  const libraries = path.join(root, 'usr/lib/x86_64-linux-gnu');
  const loader = [path.join(libraries, 'ld-linux-x86-64.so.2'), '--inhibit-cache', '--library-path'];
  const nspawn = [...loader, `${libraries}:${libraries}/systemd`, path.join(root, 'usr/bin/systemd-nspawn')];
  const flags = [
    '--quiet',
    '--register=no',
    '--keep-unit',
    '--link-journal=no',
    '--console=pipe',
    `--directory=${root}`,
  ];
  return [...nspawn, ...flags, '--boot', '--', '--log-target=null', '--show-status=no'];
}

/** Runs a program and returns what it prints. */
export function outputOf(command: readonly string[]): string {
  const [program = '', ...args] = command;
  return execFileSync(program, args, {
    encoding: 'utf8',
    env: CLEAN_ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A data directory in which `images` have been run or prepared once, so that everything is stored and rendered. */
export function warmStore(
  name: string,
  image: string,
  ...run: string[]
): { command: string[]; data: string } {
  const store = rktWith(name);
  removeData(store.data);
  timeOnce([...store.command, ...run, image]);
  return store;
}

/** Removes all exited and prepared pods. */
export function collect(command: readonly string[]): void {
  timeOnce([...command, 'gc', '--grace-period=0s', '--expire-prepared=0s']);
}
