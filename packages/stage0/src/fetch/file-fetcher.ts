// Images from files (contract stage0 4.3, 4.5). Runs in stage0.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';

import { join } from 'node:path';

import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { casTmpDir, type DataDir } from '@rkt/pod-layout/data-dir';
import type { ImageKey } from '@rkt/spec/image-id';

import { fileBytes } from '../store/file-bytes.ts';
import { fileIdentity, isSettled, sameFile } from '../store/file-identity.ts';
import type { ImportInspector } from '../store/import.ts';
import type { FileIdentity } from '../store/rows.ts';
import type { ImageStore } from '../store/store.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import { importFile, type ImportFileOptions } from './import-file.ts';
import { withLease } from './lease.ts';
import { readSignatureFile, signatureInspector, signaturePath } from './signature.ts';

/** How a file is fetched. */
export interface FileOptions {
  readonly signature?: string;
  readonly unpack?: boolean;
}

/**
 * The image in the file `path` (absolute). A file that was read before is not imported again; its signature counts
 * each time.
 */
export async function fetchFile(
  context: FetchContext,
  path: string,
  { signature, unpack = true }: FileOptions,
): Promise<ImageKey> {
  const { keystore, logger, store } = context;
  logger.debug(`using image from file ${path}`);
  const signed = keystore && readSignatureFile(signature ?? signaturePath(path));
  const fd = openImage(path);
  try {
    const file = fileIdentity(fd);
    const inspector = signed && (await signatureInspector(keystore, signed, logger));
    const options = { unpack, inspector };
    const known = await findKnown(store, fd, path, file, inspector);
    if (known !== undefined) return known;
    if (!isSettled(file, Date.now())) return await importUnchanged(context, fd, path, file, options);
    return await withLease(
      leaseFile(store.data, file),
      () => logger.info('another rkt instance is importing this file, waiting...'),
      async (progress) => {
        // The one who was before us may have done it.
        const imported = await findKnown(store, fd, path, file, inspector);
        return (
          imported ??
          (await importUnchanged(context, fd, path, file, { ...options, progress, remember: file }))
        );
      },
    );
  } finally {
    closeSync(fd);
  }
}

async function findKnown(
  store: ImageStore,
  fd: number,
  path: string,
  file: FileIdentity,
  inspector: ImportInspector | undefined,
): Promise<ImageKey | undefined> {
  const known = store.findFile(file);
  if (known === undefined) return undefined;
  if (inspector !== undefined) {
    // Whoever imported it may have gone without verification.
    for (const bytes of fileBytes(fd)) inspector.bytes(bytes);
    refuseChanged(file, fd, path);
    await inspector.accept(store.readManifest(known.key));
  }
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
  refuseChanged(file, fd, path);
  return key;
}

function refuseChanged(file: FileIdentity, fd: number, path: string): void {
  if (sameFile(file, fileIdentity(fd))) return;
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
