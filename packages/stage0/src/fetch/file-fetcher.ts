// Images from files (contract stage0 4.3, 4.5). Runs in stage0.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';

import { join } from 'node:path';

import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { casTmpDir, type DataDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import { fileIdentity, isSettled, sameFile } from '../store/file-identity.ts';
import type { FileIdentity } from '../store/rows.ts';
import type { ImageStore } from '../store/store.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import { importFile, type ImportFileOptions } from './import-file.ts';
import { withLease } from './lease.ts';
import { refuseUnverified, signaturePath } from './signature.ts';

/** How a file is fetched. */
export interface FileOptions {
  readonly signature?: string;
  readonly unpack?: boolean;
}

/** The image in the file `path` (absolute). A file that was read before is not read again. */
export async function fetchFile(
  context: FetchContext,
  path: string,
  { signature, unpack = true }: FileOptions,
): Promise<ImageKey> {
  const { insecure, logger, store } = context;
  logger.debug(`using image from file ${path}`);
  if (!insecure.image) checkSignature(path, signature ?? signaturePath(path));
  const fd = openImage(path);
  try {
    const file = fileIdentity(fd);
    const known = findKnown(store, file);
    if (known !== undefined) return known;
    if (!isSettled(file, Date.now())) return await importUnchanged(context, fd, path, file, { unpack });
    return await withLease(
      leaseFile(store.data, file),
      () => logger.info('another rkt instance is importing this file, waiting...'),
      async (progress) => {
        // The one who was before us may have done it.
        const imported = findKnown(store, file);
        return (
          imported ?? (await importUnchanged(context, fd, path, file, { unpack, progress, remember: file }))
        );
      },
    );
  } finally {
    closeSync(fd);
  }
}

function findKnown(store: ImageStore, file: FileIdentity): ImageKey | undefined {
  const known = store.findFile(file);
  if (known === undefined) return undefined;
  if (known.isNewest) store.touch(known.key);
  else store.refreshImport(known.key);
  return known.key;
}

async function importUnchanged(
  context: FetchContext,
  fd: number,
  path: string,
  file: FileIdentity,
  options: ImportFileOptions,
): Promise<ImageKey> {
  const key = await importFile(context, fd, path, options);
  if (sameFile(file, fileIdentity(fd))) return key;
  throw new FetchError('changed', `image file ${path} changed while it was read`);
}

function leaseFile(data: DataDir, { dev, ino, mtimeNs }: FileIdentity): string {
  return join(casTmpDir(data), `import-${dev}-${ino}-${mtimeNs}.lease`);
}

// O_NONBLOCK: a fifo must not hang us.
function openImage(path: string): number {
  try {
    const fd = withKernelErrors(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
    throw new RktError('not-a-file', `${path} is not a regular file`);
  } catch (error) {
    throw wrap('error opening ACI file', error);
  }
}

function checkSignature(image: string, signature: string): never {
  try {
    closeSync(
      withKernelErrors(signature, () => openSync(signature, constants.O_RDONLY | constants.O_NONBLOCK)),
    );
  } catch (cause) {
    throw new RktError('signature', 'error opening signature file', {
      cause,
      hint: 'use --insecure-options=image to go without verification',
    });
  }
  return refuseUnverified(image);
}
