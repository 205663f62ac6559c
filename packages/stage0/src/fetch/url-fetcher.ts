// Images from http(s) URLs (contract stage0 4.3, 4.5, 4.6, 4.9, 11.10). Runs in stage0.

import { closeSync, constants, openSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import type { ImageKey } from '@rkt/spec/image-id';

import { downloadHeaders } from '../config/authorization.ts';
import { isFresh } from './cache-control.ts';
import type { FetchContext } from './context.ts';
import { download } from './download.ts';
import { FetchError } from './errors.ts';
import type { ReferenceOptions } from './fetcher.ts';
import { type HttpOptions, httpRequest, readBody } from './http.ts';
import { importFile } from './import-file.ts';
import { refuseUnverified, signaturePath } from './signature.ts';

/** The image at `url`, typed as `text`: the stored one, or downloaded if the policy asks for it. @throws FetchError, UnpackError */
export async function fetchUrl(
  context: FetchContext,
  { text, url }: { readonly text: string; readonly url: URL },
  { pullPolicy, signature, unpack = true }: ReferenceOptions,
): Promise<ImageKey> {
  const { store, logger } = context;
  const stored = store.findRemote(text);
  if (pullPolicy !== 'update' && stored !== undefined) {
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
  if (stored !== undefined && isFresh(stored.downloadTime, stored.maxAgeSeconds, Date.now())) {
    logger.debug(`image for ${text} isn't expired, not fetching.`);
    store.touch(stored.key);
    return stored.key;
  }
  const http: HttpOptions = {
    insecureTls: context.insecure.tls,
    login: downloadHeaders(context.config.auth, text),
    env: context.env,
  };
  if (!context.insecure.image) await checkSignature(context, url, signature, http);
  logger.debug(`fetching image from ${text}`);
  using found = await download(url, { data: store.data, logger, http, etag: stored?.etag ?? '' });
  if (found === undefined) {
    if (stored === undefined) throw new FetchError('http-status', 'bad HTTP status code: 304');
    store.touch(stored.key);
    return stored.key;
  }
  const key = await importFile(context, found.fd, text, { unpack });
  store.writeRemote({
    url: text,
    signatureUrl: context.insecure.image ? '' : signatureUrl(url).href,
    etag: found.etag,
    key,
    maxAgeSeconds: found.maxAgeSeconds,
    downloadTime: Date.now(),
  });
  return key;
}

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
