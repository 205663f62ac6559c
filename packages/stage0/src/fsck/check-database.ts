// Checks the database of images: its file, and that what leads to an image leads to one that is there. Runs in stage0.

import { printable } from '@rkt/diagnostics/quote';

import type { ImageReference } from '../store/rows.ts';
import type { ImageStore } from '../store/store.ts';
import { type CheckOptions, type Finding, finding } from './finding.ts';

/** What is wrong with the file. While it is, nothing else can be asked of it. @throws KernelError */
export function checkDatabaseFile(store: ImageStore, options: CheckOptions): Finding[] {
  const problem = store.databaseProblem();
  if (problem === undefined) return [];
  return [finding('database', printable(problem), options, 'dropped', () => store.dropDatabase())];
}

/** Rows of downloads and files that lead nowhere; with `keys`, only those of these images. @throws KernelError */
export function checkReferences(
  store: ImageStore,
  keys: ReadonlySet<string> | undefined,
  options: CheckOptions,
): Finding[] {
  return store
    .references()
    .filter(({ key }) => keys === undefined || keys.has(key))
    .filter(({ key }) => !store.hasKey(key))
    .map((reference) =>
      finding(
        nameOf(reference),
        `its image ${printable(reference.key)} is not there`,
        options,
        'dropped',
        () => store.forgetReference(reference),
      ),
    );
}

function nameOf({ table, rowId, url }: ImageReference): string {
  if (table === 'remote') return `remote ${printable(url)}`;
  return `${table === 'file' ? 'file' : 'layers'} ${rowId}`;
}
