// `rkt image export` (contract stage0 7.11). Runs in stage0.

import { lstatSync, renameSync, rmSync } from 'node:fs';

import { RktError } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';

import type { ImageExportFlags, Invocation } from '../../cli/requests.ts';
import { copyBlob } from '../../store/copy-blob.ts';
import { openImages, resolveImage } from './open-images.ts';

const MODE = 0o644;

export async function run(invocation: Invocation<ImageExportFlags>): Promise<number> {
  const [argument = '', file = ''] = invocation.args;
  using images = await openImages(invocation);
  const key = resolveImage(images.store, argument);
  const existing = withKernelErrors(file, () => lstatSync(file, { throwIfNoEntry: false }));
  if (existing !== undefined && !invocation.flags.overwrite) {
    throw new RktError('exists', 'output ACI file exists (try --overwrite)');
  }
  if (existing?.isDirectory() === true) throw new RktError('exists', `${file} is a directory`);
  if (existing !== undefined && !existing.isFile() && !existing.isSymbolicLink()) {
    // A pipe or device is written to, not replaced.
    copyBlob(images.store.openBlob(key), key, file, { mode: MODE, flags: 'w' });
    return 0;
  }
  // The file appears whole or not at all.
  const partial = `${file}.${process.pid}.partial`;
  try {
    copyBlob(images.store.openBlob(key), key, partial, { mode: MODE, flags: 'wx' });
    withKernelErrors(file, () => renameSync(partial, file));
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
  return 0;
}
