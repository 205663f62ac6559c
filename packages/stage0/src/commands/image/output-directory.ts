// The directory that image extract and image render fill: it appears whole or not at all (contract stage0 7.12).
// Runs in stage0.

import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

import { RktError } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';

import { removeDirectory } from '../../treestore/remove-directory.ts';

/**
 * Calls `fill` with a new directory beside `directory`, then gives it that name.
 * @throws RktError `exists`; whatever `fill` throws, with nothing left behind
 */
export async function fillDirectory(
  directory: string,
  overwrite: boolean,
  fill: (partial: string) => Promise<void> | void,
): Promise<void> {
  const target = path.resolve(directory);
  checkTarget(target, overwrite);
  const partial = `${target}.${process.pid}.partial`;
  withKernelErrors(target, () => {
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
    mkdirSync(partial, { mode: 0o755 });
  });
  try {
    await fill(partial);
    if (overwrite) remove(target);
    withKernelErrors(target, () => renameSync(partial, target));
  } catch (error) {
    removeDirectory(partial);
    throw error;
  }
}

function checkTarget(target: string, overwrite: boolean): void {
  const exists = withKernelErrors(target, () => lstatSync(target, { throwIfNoEntry: false })) !== undefined;
  if (exists && !overwrite) throw new RktError('exists', 'output directory exists (try --overwrite)');
  if (target === '/') throw new RktError('exists', 'will not overwrite the root directory');
}

function remove(target: string): void {
  const status = lstatSync(target, { throwIfNoEntry: false });
  if (status?.isDirectory() === true) removeDirectory(target);
  else if (status !== undefined) withKernelErrors(target, () => rmSync(target));
}
