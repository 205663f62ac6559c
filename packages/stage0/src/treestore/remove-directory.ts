// Deletes a directory of ours, whatever an image put into it. Runs in stage0.

import { existsSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';

import { removeTree } from '../gc/remove-tree.ts';

/** Removes `directory` and everything below it; links are not followed, mounts are not entered. @throws KernelError */
export function removeDirectory(directory: string): void {
  if (existsSync(directory)) removeTree(openKernel(), directory);
}
