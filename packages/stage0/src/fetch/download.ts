// Downloads a URL into the scratch directory of the store, resuming what a killed process left (contract stage0 4.6).
// The lock on the file is what keeps two writers apart; that they do not do the same work is shared-download.ts's.
// Runs in stage0.

import { createHash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from '@rkt/diagnostics/logger';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { KernelError, withKernelErrors } from '@rkt/linux/errno';
import { type FileLock, lockFile } from '@rkt/linux/file-lock';
import { casTmpDir, type DataDir, STORE_FILE_MODE } from '@rkt/pod-layout/data-dir';

import { ensureDirectory } from '../store/directories.ts';
import { DEFAULT_LIMITS } from '../unpack/limits.ts';
import { writeFully } from '../unpack/write-fully.ts';
import { maxAgeSeconds } from './cache-control.ts';
import { FetchError } from './errors.ts';
import { type HttpOptions, httpRequest, type HttpResponse, networkError, shownUrl } from './http.ts';
import { decimalSize, Progress, sharedDisplay } from './progress.ts';

/** What {@link download} needs. */
export interface DownloadOptions {
  readonly data: DataDir;
  readonly logger: Logger;
  readonly http: HttpOptions;
  /** ETag of what is stored already; the server may say that it is still the same. */
  readonly etag: string;
  /** What the bar says; `Downloading ACI` by default. */
  readonly label?: string;
  /** Where its bar comes among those of other downloads. */
  readonly position?: number;
  /** No image is larger. */
  readonly maxBytes?: number;
}

/** A finished download, locked until it is disposed of; the file is deleted then. */
export interface Download extends Disposable {
  readonly fd: number;
  readonly etag: string;
  readonly maxAgeSeconds: number;
}

/** Undefined when the server says that `etag` is still current. @throws FetchError, KernelError */
export async function download(url: URL, options: DownloadOptions): Promise<Download | undefined> {
  let keep = false;
  const temporary = await openTemporary(url, options);
  try {
    const found = await transfer(url, temporary, options);
    keep = found !== undefined;
    return found && { ...found, fd: temporary.fd, [Symbol.dispose]: () => temporary.remove() };
  } catch (error) {
    throw wrap('error downloading ACI', error);
  } finally {
    if (!keep) temporary.remove();
  }
}

// Named by the URL, so that the next process finds it; locked, so that two do not write it at once.
class TemporaryFile {
  readonly path: string;
  readonly fd: number;
  readonly #lock: FileLock;

  constructor(file: string, lock: FileLock) {
    this.path = file;
    this.#lock = lock;
    this.fd = withKernelErrors(file, () => openSync(file, 'r+'));
  }

  get size(): number {
    return fstatSync(this.fd).size;
  }

  get modifiedMs(): number {
    return fstatSync(this.fd).mtimeMs;
  }

  get etag(): string | undefined {
    try {
      return readFileSync(this.#etagPath, 'utf8');
    } catch {
      return undefined;
    }
  }

  restart(): void {
    ftruncateSync(this.fd, 0);
    rmSync(this.#etagPath, { force: true });
  }

  rememberEtag(etag: string): void {
    if (etag !== '') writeFileSync(this.#etagPath, etag, { mode: STORE_FILE_MODE });
  }

  remove(): void {
    rmSync(this.#etagPath, { force: true });
    rmSync(this.path, { force: true });
    closeSync(this.fd);
    this.#lock.release();
  }

  get #etagPath(): string {
    return `${this.path}.etag`;
  }
}

/** Where a download of `url` goes; its lease and its ETag are beside it. */
export function temporaryPath(data: DataDir, url: URL): string {
  const digest = createHash('sha512').update(url.href).digest('hex').slice(0, 64);
  return path.join(casTmpDir(data), `sha512-${digest}`);
}

async function openTemporary(url: URL, { data, logger, http }: DownloadOptions): Promise<TemporaryFile> {
  const file = temporaryPath(data, url);
  ensureDirectory(casTmpDir(data));
  return new TemporaryFile(file, await lockTemporary(url, file, logger, http.signal));
}

const LOCK_POLL_MS = 100;

// Polls, as a wait in the kernel would stop the other downloads of this process.
async function lockTemporary(
  url: URL,
  file: string,
  logger: Logger,
  signal: AbortSignal | undefined,
): Promise<FileLock> {
  const options = { exclusive: true, create: true, mode: STORE_FILE_MODE, wait: false } as const;
  for (let waited = false; ; waited = true) {
    const lock = lockFile(file, options);
    if (lock !== undefined) return lock;
    if (!waited) logger.info('another rkt instance is downloading this file, waiting...');
    if (signal?.aborted === true) throw networkError(url, signal.reason);
    await sleep(LOCK_POLL_MS);
  }
}

type Found = Omit<Download, 'fd' | typeof Symbol.dispose>;

async function transfer(url: URL, file: TemporaryFile, options: DownloadOptions): Promise<Found | undefined> {
  const resumable = await checkPartial(url, file, options);
  let response = await request(url, file.size, options);
  if (file.size > 0 && (response.status === 416 || isAmbiguous(response))) {
    response.body.destroy();
    file.restart();
    response = await request(url, 0, options);
  }
  const { status, body } = response;
  if (status === 304) {
    body.destroy();
    return undefined;
  }
  if (status !== 200 && status !== 206) {
    body.destroy();
    throw new FetchError('http-status', `bad HTTP status code: ${status}`);
  }
  if (sendsWhole(response, file.size, resumable?.total)) file.restart();
  const etag = response.header('etag') ?? '';
  file.rememberEtag(etag);
  await receive(url, response, file, options);
  return { etag, maxAgeSeconds: maxAgeSeconds(response.header('cache-control')) };
}

function request(url: URL, offset: number, { http, etag }: DownloadOptions): Promise<HttpResponse> {
  const headers: Record<string, string> = {};
  if (etag !== '') headers['If-None-Match'] = etag;
  if (offset > 0) headers['Range'] = `bytes=${offset}-`;
  return httpRequest(url, { ...http, headers });
}

// Whether what is there already can be continued; the file is empty afterwards if not.
async function checkPartial(
  url: URL,
  file: TemporaryFile,
  { http, logger }: DownloadOptions,
): Promise<{ total: number | undefined } | undefined> {
  if (file.size === 0) return undefined;
  const head = await httpRequest(url, { ...http, method: 'HEAD' });
  head.body.destroy();
  const problem = resumeProblem(head, file);
  if (problem === undefined) return { total: contentLength(head) };
  logger.info(problem);
  file.restart();
  return undefined;
}

function resumeProblem(head: HttpResponse, file: TemporaryFile): string | undefined {
  if (head.status !== 200) return `cannot use cached partial download, HTTP status code ${head.status}.`;
  if (head.header('accept-ranges') !== 'bytes') {
    return 'cannot use cached partial download, range request unsupported.';
  }
  const modified = Date.parse(head.header('last-modified') ?? '');
  const etag = head.header('etag');
  const unchanged = modified < file.modifiedMs || (etag !== undefined && etag === file.etag);
  return unchanged ? undefined : 'cannot use cached partial download, resource updated.';
}

// The rest or all of it? Nobody can tell.
function isAmbiguous(response: HttpResponse): boolean {
  return response.status === 200 && contentLength(response) === undefined;
}

// Some servers send the rest with status 200, some ignore the range and send all of it.
function sendsWhole(response: HttpResponse, offset: number, total: number | undefined): boolean {
  if (response.status === 200) return offset > 0 && total !== undefined && contentLength(response) === total;
  const start = Number(/^bytes ([0-9]+)-/.exec(response.header('content-range') ?? '')?.[1] ?? offset);
  if (start === offset) return false;
  if (start === 0) return true;
  throw new FetchError('network', `server sent bytes from ${start} instead of ${offset}`);
}

function contentLength(response: HttpResponse): number | undefined {
  const text = response.header('content-length');
  return text === undefined || !/^[0-9]+$/.test(text) ? undefined : Number(text);
}

async function receive(
  url: URL,
  response: HttpResponse,
  file: TemporaryFile,
  { label = 'Downloading ACI', position = 0, maxBytes = DEFAULT_LIMITS.maxFileBytes }: DownloadOptions,
): Promise<void> {
  let done = file.size;
  const length = contentLength(response);
  const expected = length === undefined ? undefined : done + length;
  try {
    checkRoom(url, file, length ?? 0, { expected: expected ?? 0, maxBytes });
    using progress = new Progress(label, expected, sharedDisplay(), position);
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      checkSize(url, done + chunk.length, maxBytes);
      withKernelErrors(file.path, () => writeFully(file.fd, chunk, done));
      done += chunk.length;
      progress.update(done);
    }
    if (expected !== undefined && done !== expected) {
      throw new FetchError('network', `cannot get ${shownUrl(url)}: ${done} of ${expected} bytes received`);
    }
    progress.finish(done);
  } catch (error) {
    response.body.destroy();
    throw error instanceof KernelError ? error : networkError(url, error);
  }
}

function checkSize(url: URL, bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new FetchError('too-large', `${shownUrl(url)} is larger than ${decimalSize(maxBytes)}`);
}

// Better now than when the disk is full.
function checkRoom(
  url: URL,
  file: TemporaryFile,
  missing: number,
  { expected, maxBytes }: { readonly expected: number; readonly maxBytes: number },
): void {
  checkSize(url, expected, maxBytes);
  const { bavail, bsize } = withKernelErrors(file.path, () => statfsSync(file.path));
  if (missing <= bavail * bsize) return;
  const room = `${decimalSize(missing)} are needed for ${shownUrl(url)}, ${decimalSize(bavail * bsize)} are free`;
  throw new FetchError('too-large', `no space left on device: ${room}`);
}
