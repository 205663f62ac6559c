// Brings one layer into the store and takes it apart: nothing of it is read before its digest was right, and nothing
// used before its content is what the image config says. Runs in stage0.

import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import path from 'node:path';

import { withKernelErrors } from '@rkt/linux/errno';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { type AciCompression, detectCompression } from '@rkt/spec/aci';

import { refuse } from '../docker/errors.ts';
import type { OciImage, OciLayer } from '../docker/oci-image.ts';
import { blobWriter } from '../store/blob-writer.ts';
import { createFile } from '../store/directories.ts';
import { decompressed } from '../unpack/decompress.ts';
import type { ArchiveLimits } from '../unpack/limits.ts';
import { TarReader } from '../unpack/tar-reader.ts';
import { writeFully } from '../unpack/write-fully.ts';
import { LayerCollector, type UnpackedLayer } from './layer-entries.ts';
import { LayerIndexWriter } from './layer-index.ts';
import { openStoredLayer, storeLayer } from './layer-store.ts';

/** Where a layer goes and what it may cost. */
export interface ReceiveOptions {
  readonly data: DataDir;
  /** A directory of the caller's, on the file system of the store. */
  readonly scratch: string;
  /** Names the layer's files in there. */
  readonly name: string;
  /** Whether a thread of its own, if it is large at all, hashes and writes its archive. Each costs memory. */
  readonly inThread: boolean;
  readonly limits: ArchiveLimits;
  /** Called while bytes arrive. */
  readonly progress: () => void;
}

/** The layer, from the store or from where the image is. @throws FetchError, DockerError, UnpackError, KernelError */
export async function receiveLayer(
  image: OciImage,
  layer: OciLayer,
  options: ReceiveOptions,
): Promise<UnpackedLayer> {
  const fd = openStoredLayer(options.data, layer.digest) ?? (await download(image, layer, options));
  try {
    return await unpackLayer(fd, layer, options);
  } finally {
    closeSync(fd);
  }
}

async function download(
  image: OciImage,
  layer: OciLayer,
  { data, scratch, name, progress }: ReceiveOptions,
): Promise<number> {
  const temporary = path.join(scratch, `${name}.layer`);
  const fd = createFile(temporary);
  try {
    while (!(await write(image, layer, { fd, temporary, progress }))) ftruncateSync(fd, 0);
    storeLayer(data, layer.digest, temporary);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** False when what came was wrong and somebody else can be asked. */
async function write(
  image: OciImage,
  layer: OciLayer,
  {
    fd,
    temporary,
    progress,
  }: { readonly fd: number; readonly temporary: string; readonly progress: () => void },
): Promise<boolean> {
  await using stream = await image.openLayer(layer);
  let received = 0;
  try {
    for await (const chunk of stream) {
      withKernelErrors(temporary, () => writeFully(fd, chunk, received));
      received += chunk.length;
      progress();
    }
    return true;
  } catch (error) {
    if (stream.hasOther) return false;
    throw error;
  }
}

async function unpackLayer(
  fd: number,
  layer: OciLayer,
  { scratch, name, inThread, limits, progress }: ReceiveOptions,
): Promise<UnpackedLayer> {
  const { digest, diffId } = layer;
  const archive = path.join(scratch, name);
  const index = `${archive}.index`;
  const archiveFd = createFile(archive);
  const indexFd = createFile(index);
  const sizeBytes = fstatSync(fd).size;
  const writer = blobWriter(archiveFd, archive, inThread ? sizeBytes * USUAL_RATIO : 0, 'sha256');
  try {
    const entries = new LayerIndexWriter(indexFd, index);
    const collector = new LayerCollector(limits, (entry) => entries.add(entry));
    const tar = new TarReader(collector, limits);
    if (sizeBytes > 0) {
      for await (const bytes of decompressed({ fd, sizeBytes }, compressionOf(fd, layer), limits, progress)) {
        writer.write(bytes);
        collector.piece(bytes);
        tar.write(bytes);
      }
    }
    // An empty layer is one without files.
    if (writer.bytesWritten > 0) tar.end();
    collector.end();
    entries.finish();
    const found = `sha256:${writer.finish()}`;
    if (diffId !== undefined && diffId !== found) {
      refuse('digest-mismatch', `layer ${digest} holds ${found}, but the image config says ${diffId}`);
    }
    return { entries: collector.count, index, archive };
  } catch (error) {
    writer.abort();
    throw error;
  } finally {
    closeSync(archiveFd);
    closeSync(indexFd);
  }
}

// What gzip makes of programs.
const USUAL_RATIO = 2.5;

const MAGIC_BYTES = 512;

// The first bytes know better than the media type: registries are full of layers with the wrong one.
function compressionOf(fd: number, { compression }: OciLayer): AciCompression {
  const first = Buffer.alloc(MAGIC_BYTES);
  readSync(fd, first, 0, MAGIC_BYTES, 0);
  try {
    return detectCompression(first);
  } catch {
    return compression;
  }
}

/** Yields the stored bytes of a file of a layer in pieces. A piece is the caller's until the next one is asked for. */
export function* readContents(
  fd: number,
  { offset, storedBytes }: { readonly offset: number; readonly storedBytes: number },
  buffer: Buffer,
): Generator<Buffer, void, undefined> {
  for (let done = 0; done < storedBytes;) {
    const length = readSync(fd, buffer, 0, Math.min(buffer.length, storedBytes - done), offset + done);
    if (length === 0) refuse('bad-image', 'the contents of a layer are cut');
    yield buffer.subarray(0, length);
    done += length;
  }
}

/** Opens the archive of a layer. @throws KernelError */
export function openArchive(archive: string): number {
  return withKernelErrors(archive, () => openSync(archive, 'r'));
}
