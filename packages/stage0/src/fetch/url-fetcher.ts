// Images from http(s) URLs (contract stage0 4.3, 4.5, 4.6, 4.9, 11.10). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import type { ImageKey } from '@rkt/spec/image-id';

import { downloadHeaders } from '../config/authorization.ts';
import type { ImportInspector } from '../store/import.ts';
import type { Keystore } from '../trust/keystore.ts';
import { isFresh } from './cache-control.ts';
import type { FetchContext } from './context.ts';
import { download } from './download.ts';
import { FetchError } from './errors.ts';
import type { ReferenceOptions } from './fetcher.ts';
import type { HttpOptions } from './http.ts';
import { importFile } from './import-file.ts';
import { readSignatureFile, signatureInspector } from './signature.ts';
import { downloadDeferredSignature, downloadSignature, signatureUrl } from './signature-download.ts';

/** The image at `url`, typed as `text`: the stored one, or downloaded if the policy asks for it. @throws FetchError, UnpackError */
export async function fetchUrl(
  context: FetchContext,
  { text, url }: { readonly text: string; readonly url: URL },
  { pullPolicy, signature, unpack = true }: ReferenceOptions,
): Promise<ImageKey> {
  const { store, logger, keystore } = context;
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
  if (keystore !== undefined && http.insecureTls) logger.info('warning: TLS verification has been disabled');
  // Before the image, which is large: what has no signature is not downloaded.
  const early = keystore && (await getSignature(url, signature, http, logger));
  const known = early && (await signatureInspector(keystore, early, logger));
  logger.debug(`fetching image from ${text}`);
  using found = await download(url, { data: store.data, logger, http, etag: stored?.etag ?? '' });
  if (found === undefined) {
    if (stored === undefined) throw new FetchError('http-status', 'bad HTTP status code: 304');
    store.touch(stored.key);
    return stored.key;
  }
  const inspector = known ?? (keystore && (await deferredInspector(keystore, url, http, logger)));
  const key = await importFile(context, found.fd, text, { unpack, inspector });
  store.writeRemote({
    url: text,
    signatureUrl: keystore === undefined ? '' : signatureUrl(url).href,
    etag: found.etag,
    key,
    maxAgeSeconds: found.maxAgeSeconds,
    downloadTime: Date.now(),
  });
  return key;
}

// Undefined when the server wants the image to be asked for first.
async function getSignature(
  url: URL,
  file: string | undefined,
  http: HttpOptions,
  logger: FetchContext['logger'],
): Promise<Buffer | undefined> {
  if (file !== undefined) return readSignatureFile(file);
  const signature = await downloadSignature(signatureUrl(url), http, logger);
  if (signature === undefined) logger.info('server requested deferring the signature download');
  return signature;
}

async function deferredInspector(
  keystore: Keystore,
  url: URL,
  http: HttpOptions,
  logger: FetchContext['logger'],
): Promise<ImportInspector> {
  const signature = await downloadDeferredSignature(signatureUrl(url), http, logger);
  return signatureInspector(keystore, signature, logger);
}
