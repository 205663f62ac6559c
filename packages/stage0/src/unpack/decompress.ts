// The bytes of an archive file, decompressed, in pieces. gzip and zstd run in a thread of node's pool while the caller
// works on the piece before. Runs in stage0.

import { readSync } from 'node:fs';

import type { AciCompression } from '@rkt/spec/aci';

import { refuse, UnpackError } from './errors.ts';
import type { ArchiveLimits } from './limits.ts';

/** An open archive file. */
export interface ArchiveFile {
  readonly fd: number;
  readonly sizeBytes: number;
  /** Called with each piece of the file that is read, in order; what follows the compressed stream may be left out. */
  readonly tap?: (bytes: Buffer) => void;
}

const CHUNK_BYTES = 1024 * 1024;
// zstd's default; a window is memory that the archive makes us allocate.
const ZSTD_WINDOW_LOG_MAX = 27;

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
  for await (const chunk of streamOf(file, compression, count)) {
    produced += chunk.length;
    if (compression !== 'none' && produced > limits.ratioFreeBytes && produced > limits.maxRatio * read) {
      refuse('limit-exceeded', `archive expands to more than ${limits.maxRatio} times its size`);
    }
    yield chunk;
  }
}

function streamOf(
  file: ArchiveFile,
  compression: AciCompression,
  count: ReadProgress,
): AsyncIterable<Buffer> | Iterable<Buffer> {
  switch (compression) {
    case 'none':
      return fileChunks(file, count, true);
    case 'gzip':
    case 'zstd':
      return zlibStream(file, compression, count);
    case 'xz':
      return lazily(async () => (await import('./xz/xz.ts')).xzChunks(fileChunks(file, count, false)));
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
  count: ReadProgress,
): AsyncGenerator<Buffer, void, undefined> {
  const zlib = await import('node:zlib');
  const { Readable } = await import('node:stream');
  const options = { chunkSize: CHUNK_BYTES };
  const decoder =
    compression === 'gzip'
      ? zlib.createGunzip(options)
      : zlib.createZstdDecompress({
          ...options,
          params: { [zlib.constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
        });
  const source = Readable.from(
    fileChunks(file, () => undefined, false),
    { objectMode: true, highWaterMark: 1 },
  );
  source.on('error', (error) => decoder.destroy(error));
  try {
    source.pipe(decoder);
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      count(decoder.bytesWritten);
      yield chunk;
    }
    checkTail(file, decoder.bytesWritten, compression);
  } catch (error) {
    throw streamError(error, compression);
  } finally {
    source.destroy();
    decoder.destroy();
  }
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
    return new UnpackError('limit-exceeded', `${compression} stream needs too much memory: ${message}`);
  }
  return new UnpackError('bad-archive', `${compression} stream is damaged: ${message}`);
}
