// Brings an open image file into the store, and its files into the tree store in the same pass. Runs in stage0.

import { overlaySupport } from '@rkt/linux/overlay';
import { openKernel } from '@rkt/linux/libc';
import type { ImageKey } from '@rkt/spec/image-id';

import type { ImportInspector, ImportOptions } from '../store/import.ts';
import type { FileIdentity } from '../store/rows.ts';
import type { ImageStore } from '../store/store.ts';
import type { FetchContext } from './context.ts';

/** How {@link importFile} treats the image. */
export interface ImportFileOptions {
  readonly latest?: boolean;
  /** False: only the store gets it. */
  readonly unpack?: boolean;
  readonly remember?: FileIdentity;
  /** Called while the file is read. */
  readonly progress?: () => void;
  /** May refuse the image, e.g. for its signature. */
  readonly inspector?: ImportInspector | undefined;
}

const turns = new WeakMap<ImageStore, Promise<unknown>>();

/**
 * Imports the image open as `fd`; one image of this process after the other, as each fills processor and memory.
 * @param name For messages.
 * @throws UnpackError, StoreError, KernelError
 */
export async function importFile(
  context: FetchContext,
  fd: number,
  name: string,
  options: ImportFileOptions,
): Promise<ImageKey> {
  const before = turns.get(context.store) ?? Promise.resolve();
  const own = before.then(() => importNow(context, fd, name, options));
  turns.set(
    context.store,
    own.catch(() => undefined),
  );
  return own;
}

async function importNow(
  { store, treeStore, limits }: FetchContext,
  fd: number,
  name: string,
  { latest = false, unpack = true, remember, progress, inspector }: ImportFileOptions,
): Promise<ImageKey> {
  const options = {
    latest,
    limits,
    ...(remember !== undefined && { remember }),
    ...(progress !== undefined && { progress }),
    ...(inspector !== undefined && { inspector }),
  };
  return importWithTree({ store, treeStore }, unpack, (further) =>
    store.importAci({ fd, name }, { ...options, ...further }),
  );
}

/**
 * Lets `importImage` make an image and, where trees can be used and `unpack` asks for it, its tree in the same pass.
 * `rootfs` is given the files; `sync` must be called when there are no more.
 */
export async function importWithTree(
  { store, treeStore }: Pick<FetchContext, 'store' | 'treeStore'>,
  unpack: boolean,
  importImage: (options: Pick<ImportOptions, 'rootfs' | 'sync'>) => Promise<ImageKey>,
): Promise<ImageKey> {
  if (!unpack || !canUnpack(store.data)) return importImage({});
  const staged = await treeStore.stage();
  try {
    const key = await importImage({
      rootfs: staged.writer,
      sync: (blobFd) => {
        staged.complete();
        // One flush for the blob and the tree: both are on the same file system.
        openKernel().syncFs(blobFd);
      },
    });
    await treeStore.adopt(staged, key);
    return key;
  } finally {
    staged.discard();
  }
}

// As contract 4.4 has it: trees are made where pods can use them.
function canUnpack(data: string): boolean {
  return process.geteuid?.() === 0 && overlaySupport(data).supported;
}
