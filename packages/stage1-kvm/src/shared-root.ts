// What the machine sees of the host: stage1's root with the apps and their volumes, in a mount namespace of its own.
// Read-only is made so here, on the host's side of the machine: whoever breaks the guest's kernel still cannot write
// what is not his, above all not the entry points that the host executes from this root. Runs in the run entry point.

import { closeSync, existsSync, lstatSync, mkdirSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  CLONE_NEWNS,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_REC,
  MS_SLAVE,
  O_PATH,
  OPEN_TREE_CLONE,
  OPEN_TREE_CLOEXEC,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openInRoot, openRoot } from '@rkt/linux/safe-path';
import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost, RKT_DIR } from '@rkt/pod-layout/stage1-paths';
import type { HostFile } from '@rkt/stage1-base/resolv-hosts';
import { RootWriter } from '@rkt/stage1-base/write-in-root';
import type { AppPlan } from '@rkt/stage1-systemd/host/app-plan';

import { KvmError } from './errors.ts';

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/** Beside the apps' roots, what the guest writes: exit statuses and the journal. */
const WRITABLE: readonly string[] = [RKT_DIR, JOURNAL_DIR];

/** Makes the mounts. @throws KernelError; KvmError `unsupported` for a volume that is a device */
export function shareRoot(
  kernel: Kernel,
  root: Stage1Root,
  apps: readonly AppPlan[],
  hostFiles: readonly HostFile[],
): void {
  kernel.unshare(CLONE_NEWNS);
  kernel.mount(null, '/', null, MS_REC | MS_SLAVE, null);
  kernel.mount(root, root, null, MS_BIND | MS_REC, null);
  for (const name of WRITABLE) {
    const directory = onHost(root, name);
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    kernel.mount(directory, directory, null, MS_BIND, null);
  }
  for (const { loaded } of apps) kernel.mount(loaded.rootfs, loaded.rootfs, null, MS_BIND, null);
  for (const { source, target } of hostFiles) {
    kernel.mount(source, onHost(root, target), null, MS_BIND, null);
    kernel.mountSetattr(AT_FDCWD, onHost(root, target), 0, { set: MOUNT_ATTR_RDONLY });
  }
  for (const { loaded, binds } of apps) {
    for (const bind of binds) shareVolume(kernel, loaded.rootfs, bind);
  }
  kernel.mountSetattr(AT_FDCWD, root, 0, { set: MOUNT_ATTR_RDONLY });
}

function shareVolume(
  kernel: Kernel,
  rootfs: string,
  { source, inApp, readOnly, recursive }: AppPlan['binds'][number],
): void {
  if (!existsSync(source)) {
    throw new KvmError(
      'unsupported',
      `cannot mount volume source ${quote(source)}: no such file or directory`,
    );
  }
  const status = lstatSync(source);
  if (status.isBlockDevice() || status.isCharacterDevice()) {
    throw new KvmError(
      'unsupported',
      `volume ${quote(source)} is a device, which no virtual machine can open`,
      {
        hint: 'run the pod with another stage1 image',
      },
    );
  }
  const depth = recursive ? AT_RECURSIVE : 0;
  const tree = kernel.openTree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth);
  if (readOnly) kernel.mountSetattr(tree, '', AT_EMPTY_PATH | depth, { set: MOUNT_ATTR_RDONLY });
  using writer = new RootWriter(rootfs);
  if (status.isDirectory()) writer.directory(inApp, DIRECTORY_MODE);
  else writer.file(inApp, FILE_MODE);
  const rootFd = openRoot(rootfs);
  const at = openInRoot(rootFd, inApp, O_PATH);
  kernel.moveMount(tree, '', at, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  for (const fd of [tree, rootFd, at]) closeSync(fd);
}
