// Deletes a directory tree that a container may have filled: through descriptors, never through a link, and never into
// another mount, so that a volume that could not be unmounted keeps its content. Runs in stage0.

import { closeSync, existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import {
  AT_REMOVEDIR,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openRoot, procFdPath } from '@rkt/linux/safe-path';

/**
 * Removes `directory` and all below it. Does nothing when it is not there.
 * @throws KernelError `EXDEV` when something is still mounted below it.
 */
export function removeTree(kernel: Kernel, directory: string): void {
  if (!existsSync(directory)) return;
  const parent = openRoot(path.dirname(directory));
  try {
    removeEntry(kernel, parent, path.basename(directory));
  } finally {
    closeSync(parent);
  }
}

function removeEntry(kernel: Kernel, parent: number, name: string | Buffer): void {
  let fd: number;
  try {
    fd = kernel.openAt2(parent, name, {
      flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    if (!hasCode(error, 'ENOTDIR') && !hasCode(error, 'ELOOP')) throw error;
    kernel.unlinkAt(parent, name, 0);
    return;
  }
  try {
    for (const entry of readdirSync(procFdPath(fd), { withFileTypes: true, encoding: 'buffer' })) {
      if (entry.isDirectory()) removeEntry(kernel, fd, entry.name);
      else kernel.unlinkAt(fd, entry.name, 0);
    }
  } finally {
    closeSync(fd);
  }
  kernel.unlinkAt(parent, name, AT_REMOVEDIR);
}
