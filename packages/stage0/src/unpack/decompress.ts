// The bytes of an archive file, decompressed, in pieces. gzip and zstd run in a thread of node's pool while the caller
// works on the piece before. Runs in stage0.

import { readSync } from 'node:fs';
import type { Transform } from 'node:stream';

import type { AciCompression } from '@rkt/spec/aci';

import { exceed, refuse, UnpackError } from './errors.ts';
import type { ArchiveLimits } from './limits.ts';

/** An open archive file. */
export interface ArchiveFile {
  readonly fd: number;
  readonly sizeBytes: number;
  /** Called with each piece of the file that is read, in order; what follows the compressed stream may be left out. */
  readonly tap?: (bytes: Buffer) => void;
}

const CHUNK_BYTES = 1024 * 1024;
// What zstd itself allows.
const ZSTD_WINDOW_LOG = { min: 10, max: 31 };

/** Called with the bytes read of the file so far. */
export type ReadProgress = (bytesRead: number) => void;

/**
 * Yields the archive's bytes. A yielded buffer is the caller's until the next one is asked for.
 * @throws UnpackError `bad-archive` for cut or damaged streams and for anything after their end, `limit-exceeded`.
 */
export async function* decompressed(
  file: ArchiveFile,
  compression: AciCompression,
  limits: ArchiveLimits,
  progress: ReadProgress = () => undefined,
): AsyncGenerator<Buffer, void, undefined> {
  let read = 0;
  let produced = 0;
  const count = (total: number): void => {
    read = total;
    progress(total);
  };
  for await (const chunk of streamOf(file, compression, limits, count)) {
    produced += chunk.length;
    if (produced > limits.maxFileBytes) {
      exceed('max-image-size', `archive of more than ${limits.maxFileBytes} bytes`);
    }
    if (compression !== 'none' && produced > limits.ratioFreeBytes && produced > limits.maxRatio * read) {
      exceed('max-image-ratio', `archive expands to more than ${limits.maxRatio} times its size`);
    }
    yield chunk;
  }
}

function streamOf(
  file: ArchiveFile,
  compression: AciCompression,
  { maxMemoryBytes }: ArchiveLimits,
  count: ReadProgress,
): AsyncIterable<Buffer> | Iterable<Buffer> {
  switch (compression) {
    case 'none':
      return fileChunks(file, count, true);
    case 'gzip':
    case 'zstd':
      return zlibStream(file, compression, maxMemoryBytes, count);
    case 'xz':
      return lazily(async () =>
        (await import('./xz/xz.ts')).xzChunks(fileChunks(file, count, false), maxMemoryBytes),
      );
    case 'bzip2':
      return lazily(async () =>
        (await import('./bzip2/bzip2.ts')).bzip2Chunks(fileChunks(file, count, false)),
      );
  }
}

async function* lazily(open: () => Promise<Iterable<Buffer>>): AsyncGenerator<Buffer, void, undefined> {
  yield* await open();
}

/** The file as it is. With `reuse` the same memory is filled again for every piece. */
function* fileChunks(
  { fd, tap }: ArchiveFile,
  count: ReadProgress,
  reuse: boolean,
): Generator<Buffer, void, undefined> {
  let buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let position = 0; ;) {
    const length = readSync(fd, buffer, 0, buffer.length, position);
    if (length === 0) return;
    position += length;
    tap?.(buffer.subarray(0, length));
    count(position);
    yield buffer.subarray(0, length);
    if (!reuse) buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }
}

async function* zlibStream(
  file: ArchiveFile,
  compression: 'gzip' | 'zstd',
  maxMemoryBytes: number,
  count: ReadProgress,
): AsyncGenerator<Buffer, void, undefined> {
  const zlib = await import('node:zlib');
  const options = { chunkSize: CHUNK_BYTES };
  const decoder =
    compression === 'gzip'
      ? zlib.createGunzip(options)
      : zlib.createZstdDecompress({
          ...options,
          params: { [zlib.constants.ZSTD_d_windowLogMax]: windowLog(maxMemoryBytes) },
        });
  void feed(decoder, file);
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      count(decoder.bytesWritten);
      yield chunk;
      release(chunk);
    }
    checkTail(file, decoder.bytesWritten, compression);
  } catch (error) {
    throw streamError(error, compression);
  } finally {
    decoder.destroy();
  }
}

// A window is memory that the archive makes us allocate.
function windowLog(maxMemoryBytes: number): number {
  const { min, max } = ZSTD_WINDOW_LOG;
  return Math.min(max, Math.max(min, Math.floor(Math.log2(maxMemoryBytes))));
}

// One piece at a time in the same memory: the decoder says when it needs it no more, or never when it has seen its end.
async function feed(decoder: Transform, file: ArchiveFile): Promise<void> {
  try {
    for (const piece of fileChunks(file, () => undefined, true)) {
      await new Promise<void>((resolve, reject) => {
        decoder.write(piece, (error) => (error ? reject(error) : resolve()));
      });
    }
    decoder.end();
  } catch (error) {
    decoder.destroy(error as Error);
  }
}

// The decoder fills one buffer after the other, and pieces of them come in order: the piece at the end of a buffer is the
// last. Left to the garbage collector they would add up to tens of megabytes.
function release(piece: Buffer): void {
  const memory = piece.buffer as ArrayBuffer;
  if (piece.byteOffset + piece.length === memory.byteLength) memory.transfer(0);
}

// zlib stops at the first zero byte after the stream: tapes are padded with zeros, nothing else may follow.
function checkTail(file: ArchiveFile, used: number, compression: string): void {
  const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(0, file.sizeBytes - used)));
  for (let position = used; position < file.sizeBytes;) {
    const length = readSync(file.fd, buffer, 0, buffer.length, position);
    if (length === 0) return;
    if (buffer.subarray(0, length).some((byte) => byte !== 0)) {
      refuse('bad-archive', `data after the end of the ${compression} stream`);
    }
    position += length;
  }
}

const CUT = new Set(['Z_BUF_ERROR', 'ZSTD_error_srcSize_wrong']);

function streamError(error: unknown, compression: string): unknown {
  if (error instanceof UnpackError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined || !/^(Z_|ZSTD_|ERR_TRAILING_JUNK)/.test(code)) return error;
  if (CUT.has(code))
    return new UnpackError('bad-archive', `${compression} stream is cut`, { cause: undefined });
  if (code === 'ERR_TRAILING_JUNK_AFTER_STREAM_END') {
    return new UnpackError('bad-archive', `data after the end of the ${compression} stream`);
  }
  if (code === 'ZSTD_error_frameParameter_windowTooLarge' || code === 'Z_MEM_ERROR') {
    return exceed('max-image-memory', `${compression} stream needs too much memory: ${message}`);
  }
  return new UnpackError('bad-archive', `${compression} stream is damaged: ${message}`);
}
