// Images from http(s) URLs (contract stage0 4.3, 4.5, 4.6, 4.9, 11.10). Runs in stage0.

import { closeSync, constants, openSync } from 'node:fs';
import path from 'node:path';

import { printable, quote } from '@rkt/diagnostics/quote';
import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { ImageKey } from '@rkt/spec/image-id';

import { downloadHeaders } from '../config/authorization.ts';
import type { RemoteRow } from '../store/rows.ts';
import { isFresh } from './cache-control.ts';
import type { FetchContext } from './context.ts';
import { CookieJar } from './cookies.ts';
import { download } from './download.ts';
import { FetchError } from './errors.ts';
import type { ReferenceOptions } from './fetcher.ts';
import { type HttpOptions, httpRequest, readBody } from './http.ts';
import { importFile } from './import-file.ts';
import { shareDownload } from './shared-download.ts';
import { refuseUnverified, signaturePath } from './signature.ts';

/** An image at a known place. */
export interface RemoteImage {
  /** What was typed or discovered: the name of its row in the store. */
  readonly text: string;
  readonly url: URL;
  /** Where its signature is, unless the user has it in a file. */
  readonly signature: URL;
  /** Marks the image as the latest of its name. */
  readonly latest?: boolean;
}

/** The image at `url`, typed as `text`: the stored one, or downloaded if the policy asks for it. @throws FetchError, UnpackError */
export async function fetchUrl(
  context: FetchContext,
  { text, url }: { readonly text: string; readonly url: URL },
  options: ReferenceOptions,
): Promise<ImageKey> {
  const { store, logger } = context;
  const { pullPolicy } = options;
  const stored = pullPolicy === 'update' ? undefined : store.findRemote(text);
  if (stored !== undefined) {
    logger.debug(`using image from local store for url ${text}`);
    store.touch(stored.key);
    return stored.key;
  }
  if (pullPolicy === 'never') {
    throw new FetchError(
      'image-not-found',
      `unable to fetch image from URL ${quote(text)}: not in the store, and the pull policy forbids to fetch it`,
    );
  }
  logger.debug(`remote fetching from URL ${quote(text)}`);
  return fetchRemote(context, { text, url, signature: signatureUrl(url) }, options);
}

/** Downloads an image unless the stored one is still good; whoever wants the same at the same time shares it. */
export async function fetchRemote(
  context: FetchContext,
  remote: RemoteImage,
  options: ReferenceOptions,
): Promise<ImageKey> {
  const { store, logger, insecure } = context;
  const { text, url } = remote;
  const stored = store.findRemote(text);
  if (stored !== undefined && isFresh(stored.downloadTime, stored.maxAgeSeconds, Date.now())) {
    logger.debug(`image for ${text} isn't expired, not fetching.`);
    store.touch(stored.key);
    return stored.key;
  }
  const shared = {
    url,
    purpose: JSON.stringify([options.signature, remote.latest]),
    accepts: (row: RemoteRow) => insecure.image || row.signatureUrl !== '',
  };
  return shareDownload(context, text, shared, () => downloadImage(context, remote, options));
}

async function downloadImage(
  context: FetchContext,
  remote: RemoteImage,
  { signature, unpack = true }: ReferenceOptions,
): Promise<ImageKey> {
  const { store, logger, insecure } = context;
  const { text, url, latest = false } = remote;
  const stored = store.findRemote(text);
  const http = httpOptions(context, text);
  if (!insecure.image) await checkSignature(context, url, signature, http);
  logger.debug(`fetching image from ${text}`);
  const label = progressLabel(context, 'Downloading ACI', url);
  using found = await download(url, { data: store.data, logger, http, label, etag: stored?.etag ?? '' });
  if (found === undefined) {
    if (stored === undefined) throw new FetchError('http-status', 'bad HTTP status code: 304');
    store.touch(stored.key);
    return stored.key;
  }
  const key = await importFile(context, found.fd, text, { unpack, latest });
  store.writeRemote({
    url: text,
    signatureUrl: insecure.image ? '' : remote.signature.href,
    etag: found.etag,
    key,
    maxAgeSeconds: found.maxAgeSeconds,
    downloadTime: Date.now(),
  });
  return key;
}

function httpOptions(context: FetchContext, text: string): HttpOptions {
  const { insecure, config, env, signal } = context;
  return {
    insecureTls: insecure.tls,
    login: (method) => downloadHeaders(config.auth, text, { method }),
    env,
    cookies: new CookieJar(),
    ...(signal !== undefined && { signal }),
  };
}

/** `what` with the name of the file, where several are shown. */
function progressLabel({ several = false }: FetchContext, what: string, url: URL): string {
  return several ? `${what} ${printable(path.posix.basename(url.pathname)).slice(0, MAX_LABEL)}` : what;
}

const MAX_LABEL = 30;

function signatureUrl(url: URL): URL {
  const signature = new URL(url);
  signature.pathname = signaturePath(url.pathname);
  return signature;
}

const MAX_SIGNATURE_BYTES = 1024 * 1024;

// Secure by default: what cannot be verified is not downloaded.
async function checkSignature(
  { logger }: FetchContext,
  url: URL,
  file: string | undefined,
  http: HttpOptions,
): Promise<never> {
  if (file === undefined) await downloadSignature(signatureUrl(url), http, logger);
  else openSignature(file);
  return refuseUnverified(url.href);
}

function openSignature(file: string): void {
  try {
    closeSync(withKernelErrors(file, () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)));
  } catch (error) {
    throw wrap('error opening signature file', error);
  }
}

async function downloadSignature(
  url: URL,
  http: HttpOptions,
  logger: FetchContext['logger'],
): Promise<Buffer | undefined> {
  logger.debug(`downloading signature from ${url.href}`);
  try {
    const response = await httpRequest(url, http);
    if (response.status === 200) return await readBody(response, url, MAX_SIGNATURE_BYTES);
    response.body.destroy();
    if (response.status !== 202) {
      throw new FetchError('http-status', `bad HTTP status code: ${response.status}`);
    }
    logger.info('server requested deferring the signature download');
    return undefined;
  } catch (cause) {
    throw new RktError('signature', 'error downloading the signature file', {
      cause,
      hint: 'use --insecure-options=image to go without verification',
    });
  }
}
