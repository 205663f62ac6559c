// Gives an implicit volume of an image that came from docker what the image has at the mount point: content, owners,
// modes, times (contract 2.23). Runs in the run entry point, on the host, before anything of the pod runs.

import {
  chmodSync,
  copyFileSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';

import { AT_FDCWD } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { resolveInRoot } from '@rkt/linux/safe-path';

/** Fills `directory`, which is empty, from `inApp` in the app's root; a mount point the image lacks leaves it as it is. */
export function fillVolume(kernel: Kernel, rootfs: string, inApp: string, directory: string): void {
  const source = path.join(rootfs, resolveInRoot(rootfs, inApp));
  if (lstatSync(source, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  copyChildren(kernel, source, directory);
  copyAttributes(source, directory);
}

function copyChildren(kernel: Kernel, from: string, to: string): void {
  for (const name of readdirSync(from)) copyNode(kernel, path.join(from, name), path.join(to, name));
}

function copyNode(kernel: Kernel, from: string, to: string): void {
  const stat = lstatSync(from);
  if (stat.isDirectory()) {
    mkdirSync(to);
    copyChildren(kernel, from, to);
  } else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
  else if (stat.isFile()) copyFileSync(from, to);
  // A socket means nothing without the process that listened.
  else if (stat.isSocket()) return;
  else
    kernel.mknodAt(
      AT_FDCWD,
      to,
      stat.mode,
      (stat.rdev >> 8) & 0xfff,
      (stat.rdev & 0xff) | ((stat.rdev >> 12) & ~0xff),
    );
  copyAttributes(from, to);
}

function copyAttributes(from: string, to: string): void {
  const stat = lstatSync(from);
  lchownSync(to, stat.uid, stat.gid);
  if (!stat.isSymbolicLink()) chmodSync(to, stat.mode & 0o7777);
  lutimesSync(to, stat.atime, stat.mtime);
}
