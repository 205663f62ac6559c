// Layers of docker and OCI images as they came (compressed), in cas/layer, so that images that share them fetch them
// once. Runs in stage0.
//
// A layer is a file under the name of its digest: it appears whole, never changes, and whoever has it open keeps it.
// Losing one costs a download, so no lock is held on them: the database tells which ones images were made of, inside
// its own lock; the others are removed with the last image or by `image gc`.

import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, openSync, readdirSync, readSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type DataDir, layerFile, layersDir } from '@rkt/pod-layout/data-dir';

import { refuse } from '../docker/errors.ts';
import { moveIntoPlace } from '../store/directories.ts';

const BUFFER_BYTES = 1024 * 1024;

/** The layer, open for reading, if it is there and still what its digest says. @throws KernelError */
export function openStoredLayer(data: DataDir, digest: string): number | undefined {
  const file = fileOf(data, digest);
  let fd: number;
  try {
    fd = withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  if (withKernelErrors(file, () => hasDigest(fd, digest))) {
    markUsed(file);
    return fd;
  }
  closeSync(fd);
  withKernelErrors(file, () => rmSync(file, { force: true }));
  return undefined;
}

/** Makes the file `temporary`, whose digest was checked, a layer of the store. @throws KernelError */
export function storeLayer(data: DataDir, digest: string, temporary: string): void {
  moveIntoPlace(temporary, fileOf(data, digest));
}

/**
 * Deletes layers that no image was made of and that were not used for `gracePeriodMs`: what a fetch that was killed had
 * got so far may be wanted by the next one.
 */
export function removeUnusedLayers(
  data: DataDir,
  inUse: ReadonlySet<string>,
  gracePeriodMs: number,
  now: number = Date.now(),
): void {
  for (const digest of storedLayers(data)) {
    const file = layerFile(data, digest);
    const used = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (used === undefined || inUse.has(digest) || now - used < gracePeriodMs) continue;
    withKernelErrors(file, () => rmSync(file, { force: true }));
  }
}

/** Digests of all layers, by the names of their files. */
export function storedLayers(data: DataDir): string[] {
  return filesBelow(data).flatMap(({ digest, file }) => (layerOf(data, digest, file) ? [digest] : []));
}

/** Files among the layers that are under the name of none. */
export function strayLayers(data: DataDir): string[] {
  return filesBelow(data).flatMap(({ digest, file }) => (layerOf(data, digest, file) ? [] : [file]));
}

function layerOf(data: DataDir, digest: string, file: string): boolean {
  return DIGEST.test(digest) && layerFile(data, digest) === file;
}

function filesBelow(data: DataDir): { digest: string; file: string }[] {
  return namesIn(layersDir(data)).flatMap((algorithm) => {
    const directory = path.join(layersDir(data), algorithm);
    return namesIn(directory).flatMap((fanOut) =>
      namesIn(path.join(directory, fanOut)).map((hex) => ({
        digest: `${algorithm}:${hex}`,
        file: path.join(directory, fanOut, hex),
      })),
    );
  });
}

/** What is wrong with a layer of the store; undefined when nothing is, or when it is no longer there. @throws KernelError */
export function layerProblem(data: DataDir, digest: string): string | undefined {
  const file = layerFile(data, digest);
  let fd: number;
  try {
    fd = withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    return withKernelErrors(file, () => hasDigest(fd, digest)) ? undefined : 'its content has another digest';
  } finally {
    closeSync(fd);
  }
}

/** Deletes a layer; the next fetch that needs it brings it back. @throws KernelError */
export function dropLayer(data: DataDir, digest: string): void {
  const file = layerFile(data, digest);
  withKernelErrors(file, () => rmSync(file, { force: true }));
}

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

function fileOf(data: DataDir, digest: string): string {
  if (!DIGEST.test(digest)) return refuse('bad-image', `bad layer digest ${JSON.stringify(digest)}`);
  return layerFile(data, digest);
}

function hasDigest(fd: number, digest: string): boolean {
  const [algorithm = '', hex] = digest.split(':');
  const hash: Hash = createHash(algorithm);
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  for (let position = 0; ;) {
    const length = readSync(fd, buffer, 0, buffer.length, position);
    if (length === 0) return hash.digest('hex') === hex;
    hash.update(buffer.subarray(0, length));
    position += length;
  }
}

// The file's time is that of its last use. Members of the group rkt may use layers that root has fetched.
function markUsed(file: string): void {
  try {
    utimesSync(file, new Date(), new Date());
  } catch (error) {
    if (!['EPERM', 'EACCES', 'EROFS', 'ENOENT'].some((code) => hasCode(error, code))) throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return withKernelErrors(directory, () => readdirSync(directory));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
