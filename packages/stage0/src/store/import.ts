// Reads an image file once: decompresses, hashes, writes the blob, checks the archive and, when asked, unpacks it, all
// in the same pass (contract stage0 7.1). Runs in stage0.

import { closeSync, fstatSync, fsyncSync, readSync, rmSync } from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { wrap } from '@rkt/diagnostics/rkt-error';
import { LOCK_EX } from '@rkt/linux/constants';
import { withKernelErrors } from '@rkt/linux/errno';
import { lockFile } from '@rkt/linux/file-lock';
import { openKernel } from '@rkt/linux/libc';
import {
  blobFile,
  casTmpDir,
  type DataDir,
  imageLockFile,
  imageLocksDir,
  imageManifestFile,
  STORE_FILE_MODE,
} from '@rkt/pod-layout/data-dir';
import { detectCompression } from '@rkt/spec/aci';
import { imageKey, type ImageKey } from '@rkt/spec/image-id';
import { type ImageManifest, parseImageManifest, serializeImageManifest } from '@rkt/spec/image-manifest';

import { AciReader, type RootfsSink } from '../unpack/aci-reader.ts';
import { decompressed, type ReadProgress } from '../unpack/decompress.ts';
import { refuse } from '../unpack/errors.ts';
import { type ArchiveLimits, DEFAULT_LIMITS } from '../unpack/limits.ts';
import { TarReader } from '../unpack/tar-reader.ts';
import { blobWriter } from './blob-writer.ts';
import { createFile, ensureDirectory, moveIntoPlace, writeWhole } from './directories.ts';
import { fileBytes } from './file-bytes.ts';
import type { FileIdentity } from './rows.ts';

/** An open image file. */
export interface ImageSource {
  readonly fd: number;
  /** For messages. */
  readonly name: string;
}

/** Looks at an image while it is imported, and may refuse it. */
export interface ImportInspector {
  /** Takes the bytes of the file as they are, compressed or not, in order and to the last. */
  bytes(chunk: Uint8Array): void;
  /** Throws to keep the image out; called when all was read and nothing is visible. */
  accept(manifest: ImageManifest): Promise<void>;
}

/** How an image is imported. */
export interface ImportOptions {
  /** The image came from discovery without a version (contract stage0 7.1). */
  readonly latest?: boolean;
  /** Receives the files of the image as they are read. */
  readonly rootfs?: RootfsSink;
  /** Called when everything was read, before the image becomes visible; makes the bytes durable. */
  readonly sync?: (blobFd: number) => void;
  /** The file the image was read from, to know it again. */
  readonly remember?: FileIdentity;
  /** Digests of the layers the image was made of, base first, to know them again. */
  readonly layers?: readonly string[];
  readonly progress?: ReadProgress;
  /** Called when the image is in its place, under its lock. */
  readonly imported?: (image: ImportedImage) => void;
  readonly inspector?: ImportInspector;
  readonly limits?: ArchiveLimits;
}

/** An image that is in the store now. */
export interface ImportedImage {
  readonly key: ImageKey;
  readonly manifest: ImageManifest;
  /** Bytes of the uncompressed archive. */
  readonly sizeBytes: number;
}

/** @throws UnpackError, SpecError (wrapped), KernelError; the store is as before then. */
export async function importImage(
  data: DataDir,
  source: ImageSource,
  options: ImportOptions,
): Promise<ImportedImage> {
  return importArchive(data, (fd, name) => readImage(source, fd, name, options), options);
}

/** Writes an uncompressed image to the open file `fd` called `name`. */
export type ArchiveSource = (fd: number, name: string) => Promise<WrittenArchive>;

/** An image that was written whole. */
export interface WrittenArchive {
  /** In hex, of all bytes. */
  readonly sha512: string;
  readonly manifestText: string;
  readonly sizeBytes: number;
}

/** Imports what `write` writes. @throws what `write` throws, SpecError (wrapped), KernelError; the store is as before then. */
export async function importArchive(
  data: DataDir,
  write: ArchiveSource,
  options: ImportOptions,
): Promise<ImportedImage> {
  const temporary = path.join(casTmpDir(data), `import-${randomBytes(8).toString('hex')}`);
  const blob = createFile(temporary);
  try {
    // Whoever cleans the scratch directory leaves alone what is locked.
    openKernel().flock(blob, LOCK_EX);
    const read = await write(blob, temporary);
    const manifest = parseManifest(read.manifestText);
    const key = imageKey(read.sha512);
    await options.inspector?.accept(manifest);
    (options.sync ?? fsyncSync)(blob);
    const image = { key, manifest, sizeBytes: read.sizeBytes };
    commit(data, image, temporary, options.imported);
    return image;
  } finally {
    closeSync(blob);
    rmSync(temporary, { force: true });
  }
}

async function readImage(
  { fd, name }: ImageSource,
  blobFd: number,
  blobName: string,
  { rootfs, progress, inspector, limits = DEFAULT_LIMITS }: ImportOptions,
): Promise<WrittenArchive> {
  const sizeBytes = withKernelErrors(name, () => fstatSync(fd).size);
  const compression = detectCompression(withKernelErrors(name, () => firstBytes(fd)));
  const aci = new AciReader(rootfs, limits);
  const tar = new TarReader(aci, limits);
  const blob = blobWriter(blobFd, blobName, sizeBytes);
  try {
    let tapped = 0;
    const tap = (bytes: Buffer): void => {
      inspector?.bytes(bytes);
      tapped += bytes.length;
    };
    for await (const bytes of decompressed({ fd, sizeBytes, tap }, compression, limits, progress)) {
      blob.write(bytes);
      tar.write(bytes);
    }
    tar.end();
    // A decoder may stop at the end of its stream; padding is part of the file.
    if (inspector !== undefined) for (const bytes of fileBytes(fd, tapped)) inspector.bytes(bytes);
    return { manifestText: aci.manifestText(), sha512: blob.finish(), sizeBytes: blob.bytesWritten };
  } catch (error) {
    blob.abort();
    throw error;
  }
}

// Compression is told from these.
const MAGIC_BYTES = 512;

function firstBytes(fd: number): Buffer {
  const first = Buffer.alloc(MAGIC_BYTES);
  const length = readSync(fd, first, 0, MAGIC_BYTES, 0);
  if (length === 0) refuse('bad-archive', 'error: empty image file');
  return first.subarray(0, length);
}

function parseManifest(text: string): ImageManifest {
  try {
    return parseImageManifest(text, 'image manifest');
  } catch (error) {
    throw wrap('error extracting image manifest', error);
  }
}

// The blob first: an image without a manifest file is no image.
function commit(
  data: DataDir,
  image: ImportedImage,
  blob: string,
  imported: ImportOptions['imported'],
): void {
  const { key, manifest } = image;
  ensureDirectory(imageLocksDir(data));
  using _lock = lockFile(imageLockFile(data, key), {
    exclusive: true,
    wait: true,
    create: true,
    mode: STORE_FILE_MODE,
  });
  moveIntoPlace(blob, blobFile(data, key));
  writeWhole(imageManifestFile(data, key), `${blob}.manifest`, serializeImageManifest(manifest));
  imported?.(image);
}
