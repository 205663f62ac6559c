// Whether overlayfs can be used over a directory, and mounting it. Runs in stage0, on the host.

import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

import { AUFS_SUPER_MAGIC, MNT_DETACH, ZFS_SUPER_MAGIC } from './constants.ts';
import { KernelError, withKernelErrors } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './libc.ts';

/** The answer of {@link overlaySupport}; `reason` is shown to the user as it is. */
export type OverlaySupport =
  { readonly supported: true } | { readonly supported: false; readonly reason: string };

const DT_UNKNOWN = 0;

/**
 * Whether overlay mounts over directories in `dataDir` work (contract stage0 8.9, stage1 1.8). Loads the kernel module
 * where it is missing, if that is possible. Throws KernelError when `dataDir` cannot be read.
 */
export function overlaySupport(dataDir: string, kernel: Kernel = openKernel()): OverlaySupport {
  if (!kernelHasOverlay() && !(loadOverlayModule() && kernelHasOverlay())) {
    return { supported: false, reason: 'overlay entry not present in /proc/filesystems' };
  }
  const { type } = kernel.statFs(dataDir);
  if (type === AUFS_SUPER_MAGIC) return { supported: false, reason: 'unsupported filesystem: aufs' };
  if (type === ZFS_SUPER_MAGIC) return { supported: false, reason: 'unsupported filesystem: zfs' };
  if (!reportsTypes(dataDir, kernel)) {
    return { supported: false, reason: 'unsupported filesystem: missing d_type support' };
  }
  const refusal = LAYERS_KNOWN_TO_WORK.includes(type) ? undefined : tryOverlay(dataDir, kernel);
  return refusal === undefined
    ? { supported: true }
    : { supported: false, reason: `unsupported filesystem: ${refusal}` };
}

// f_type of ext4, xfs, btrfs, tmpfs and f2fs (statfs(2)), where nothing need be tried.
const LAYERS_KNOWN_TO_WORK: readonly bigint[] = [0xef53n, 0x58465342n, 0x9123683en, 0x01021994n, 0xf2f52010n];

// Others, such as an overlay or a network file system, may not do as the upper layer; the kernel says so only at the mount.
function tryOverlay(dataDir: string, kernel: Kernel): string | undefined {
  const base = mkdtempSync(path.join(dataDir, 'overlay-'));
  const [lower, upper, work, target] = ['lower', 'upper', 'work', 'target'].map((name) =>
    path.join(base, name),
  ) as [string, string, string, string];
  try {
    for (const directory of [lower, upper, work, target]) mkdirSync(directory);
    mountOverlay(kernel, { lower, upper, work, target });
    kernel.umount2(target, MNT_DETACH);
    return undefined;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return `no overlay can be mounted: ${error.message}`;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

function kernelHasOverlay(): boolean {
  return readFileSync('/proc/filesystems', 'latin1').split('\n').includes('nodev\toverlay');
}

// Best effort; a process is started only where the module is not there yet.
function loadOverlayModule(): boolean {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  return spawnSync('modprobe', ['overlay'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

// Overlayfs finds its whiteouts by the types that directory entries carry (xfs without ftype=1 has none). `.` and
// `..` are entries like others, so an empty directory does.
function reportsTypes(dataDir: string, kernel: Kernel): boolean {
  const fd = withKernelErrors(dataDir, () => openSync(dataDir, constants.O_RDONLY | constants.O_DIRECTORY));
  try {
    return kernel.readDirectoryOnce(fd).every(({ type }) => type !== DT_UNKNOWN);
  } finally {
    closeSync(fd);
  }
}

/** What {@link mountOverlay} mounts; all are absolute paths. */
export interface OverlayMount {
  /** The read-only tree below. */
  readonly lower: string;
  /** Receives what is written. */
  readonly upper: string;
  /** An empty directory on the file system of `upper`. */
  readonly work: string;
  readonly target: string;
  /** SELinux label of all files in the mount. */
  readonly context?: string;
}

/** Mounts an overlay (contract stage1 1.8). Throws KernelError. */
export function mountOverlay(kernel: Kernel, overlay: OverlayMount): void {
  kernel.mount('overlay', overlay.target, 'overlay', 0, overlayOptions(overlay));
}

/** The options of an overlay mount. `:` would separate lower directories, `,` options; a backslash keeps them. */
export function overlayOptions({ lower, upper, work, context }: Omit<OverlayMount, 'target'>): string {
  const options = `lowerdir=${escape(lower)},upperdir=${escape(upper)},workdir=${escape(work)}`;
  return context === undefined || context === '' ? options : `${options},context="${context}"`;
}

function escape(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}
