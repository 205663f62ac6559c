// What trees of the store and the copies that pods get have in common: a root directory, with a manifest beside it; and
// how the one becomes the other. Nothing here hashes: node's crypto costs 9 ms, and a copy needs none. Runs in stage0.

import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { withKernelErrors } from '@rkt/linux/errno';
import { openKernel } from '@rkt/linux/libc';
import { TREE_DIR_MODE, treeManifest } from '@rkt/pod-layout/data-dir';

import type { TreeWriterOptions } from '../unpack/tree-writer.ts';
import { copyTree } from './copy-tree.ts';
import type { SecondThread } from './second-thread.ts';
import type { OwnerShift, RootCopy } from './tree-store.ts';

const DEFAULT_ID_COUNT = 65536;
/** Of the files beside a root. */
export const FILE_MODE = 0o644;

/** Makes a root directory. What the one above hands down (its group, its setgid bit) is no part of an image. */
export function makeRoot(root: string, { uidShift = 0, gidShift = 0 }: OwnerShift = {}): void {
  withKernelErrors(root, () => {
    mkdirSync(root, { recursive: true, mode: TREE_DIR_MODE });
    if (process.geteuid?.() === 0) chownSync(root, uidShift, gidShift);
    chmodSync(root, TREE_DIR_MODE);
  });
}

/** Puts the manifest of an image beside the root in `directory`. */
export function writeManifest(manifest: string, directory: string): void {
  withKernelErrors(directory, () => writeFileSync(treeManifest(directory), manifest, { mode: FILE_MODE }));
}

/** What all writers of trees are told. */
export function writerOptions(
  logger: Logger,
  { uidShift, gidShift, idCount }: OwnerShift = {},
): Omit<TreeWriterOptions, 'digests'> {
  const shifted = uidShift !== undefined || gidShift !== undefined;
  return {
    privileged: process.geteuid?.() === 0,
    warn: (message) => logger.info(message),
    ...(shifted && {
      uidShift: uidShift ?? 0,
      gidShift: gidShift ?? 0,
      idCount: idCount ?? DEFAULT_ID_COUNT,
    }),
  };
}

/** Copies a root, with the help of a second thread if there is one; `target` is made when it is missing. */
export async function copyRoot(
  source: string,
  target: string,
  { linked, ...shift }: RootCopy,
  logger: Logger,
  second?: SecondThread,
): Promise<void> {
  makeRoot(target, shift);
  const options = { ...writerOptions(logger, shift), ...(linked && { linked }) };
  await copyTree(source, target, openKernel(), options, second);
}
