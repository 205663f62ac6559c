// Bind mounts, also read-only through all mounts below the source. Runs in stage1 (fly) and stage0, on the host.

import {
  AT_FDCWD,
  AT_RECURSIVE,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
} from './constants.ts';
import { KernelError } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { mountsBelow, readMountInfo, type MountEntry } from './mount-info.ts';

/** What {@link bindMount} mounts. */
export interface BindMount {
  readonly source: string;
  /** Absolute and free of symbolic links. */
  readonly target: string;
  /** Take the mounts below the source along. */
  readonly recursive: boolean;
  /** Make the new mount, and with `recursive` all that came along, read-only. */
  readonly readOnly: boolean;
}

/** Binds `source` to `target`. Throws KernelError; a mount that could not be made read-only is not undone. */
export function bindMount(kernel: Kernel, { source, target, recursive, readOnly }: BindMount): void {
  kernel.mount(source, target, null, MS_BIND | (recursive ? MS_REC : 0), null);
  if (readOnly) makeReadOnly(kernel, target, recursive);
}

/**
 * Makes the topmost mount at `target` read-only, with `recursive` also the mounts below it. Other options stay.
 * Kernels before 5.12 have no call for a whole tree; there each mount is changed by itself.
 */
export function makeReadOnly(kernel: Kernel, target: string, recursive: boolean): void {
  try {
    kernel.mountSetattr(AT_FDCWD, target, recursive ? AT_RECURSIVE : 0, { set: MOUNT_ATTR_RDONLY });
    return;
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'ENOSYS') throw error;
  }
  for (const entry of mountsToChange(readMountInfo(), target, recursive)) {
    // A remount sets exactly the flags it names: those of the mount must be repeated.
    const flags = MS_BIND | MS_REMOUNT | MS_RDONLY | flagsOf(entry.options);
    kernel.mount(null, entry.mountPointBytes ?? entry.mountPoint, null, flags, null);
  }
}

/** The mounts at and below `target` that a remount by name can reach: the topmost on each mount point. */
export function mountsToChange(
  entries: readonly MountEntry[],
  target: string,
  recursive: boolean,
): MountEntry[] {
  const below = mountsBelow(entries, target).filter(({ mountPoint }) => recursive || mountPoint === target);
  return below.filter(
    (entry, index) => below.findIndex(({ mountPoint }) => mountPoint === entry.mountPoint) === index,
  );
}

const FLAGS: ReadonlyMap<string, number> = new Map([
  ['nosuid', MS_NOSUID],
  ['nodev', MS_NODEV],
  ['noexec', MS_NOEXEC],
  ['noatime', MS_NOATIME],
  ['nodiratime', MS_NODIRATIME],
  ['relatime', MS_RELATIME],
]);

function flagsOf(options: readonly string[]): number {
  return options.reduce((flags, option) => flags | (FLAGS.get(option) ?? 0), 0);
}
