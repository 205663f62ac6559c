// Images from files (contract stage0 4.3, 4.5). Runs in stage0.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';

import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { ImageKey } from '@rkt/spec/image-id';

import { fileIdentity, isSettled, sameFile } from '../store/file-identity.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import { importFile } from './import-file.ts';
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
    const before = fileIdentity(fd);
    const known = store.findFile(before);
    if (known !== undefined) {
      if (known.isNewest) store.touch(known.key);
      else store.refreshImport(known.key);
      return known.key;
    }
    const remember = isSettled(before, Date.now()) ? { remember: before } : {};
    const key = await importFile(context, fd, path, { unpack, ...remember });
    if (!sameFile(before, fileIdentity(fd))) {
      throw new FetchError('changed', `image file ${path} changed while it was read`);
    }
    return key;
  } finally {
    closeSync(fd);
  }
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
