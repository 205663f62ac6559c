// Images from http(s) URLs (contract stage0 4.3, 4.5, 4.6, 4.9, 11.10). Runs in stage0.

import path from 'node:path';

import { printable, quote } from '@rkt/diagnostics/quote';
import type { ImageKey } from '@rkt/spec/image-id';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { ImageName } from '@rkt/spec/image-name';

import { downloadHeaders } from '../config/authorization.ts';
import type { ImportInspector } from '../store/import.ts';
import type { RemoteRow } from '../store/rows.ts';
import { isFresh } from './cache-control.ts';
import type { FetchContext } from './context.ts';
import { CookieJar } from './cookies.ts';
import { download } from './download.ts';
import { FetchError } from './errors.ts';
import type { ReferenceOptions } from './fetcher.ts';
import type { HttpOptions } from './http.ts';
import { importFile } from './import-file.ts';
import { shareDownload } from './shared-download.ts';
import { readSignatureFile, signatureInspector } from './signature.ts';
import { downloadDeferredSignature, downloadSignature } from './signature-download.ts';

/** An image at a known place. */
export interface RemoteImage {
  /** What was typed or discovered: the name of its row in the store. */
  readonly text: string;
  readonly url: URL;
  /** Where its signature is, unless the user has it in a file. */
  readonly signature: string;
  /** The name that led here, when it was one. */
  readonly wanted?: {
    readonly image: ImageName;
    /** Marks the image as the latest of its name. */
    readonly latest: boolean;
    /** Refuses another image than the one that was asked for. */
    readonly expect: (manifest: ImageManifest) => void;
  };
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
  return fetchRemote(context, { text, url, signature: signatureOf(text) }, options);
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
    purpose: JSON.stringify([options.signature, remote.wanted?.latest]),
    accepts: (row: RemoteRow) => insecure.image || row.signatureUrl !== '',
  };
  return shareDownload(context, text, shared, () => downloadImage(context, remote, options));
}

async function downloadImage(
  context: FetchContext,
  remote: RemoteImage,
  { signature: signatureFile, unpack = true }: ReferenceOptions,
): Promise<ImageKey> {
  const { store, logger, keystore } = context;
  const { text, url, signature, wanted } = remote;
  const stored = store.findRemote(text);
  const cookies = new CookieJar();
  const [http, signatureHttp] = [text, signature].map((each) => httpOptions(context, each, cookies)) as [
    HttpOptions,
    HttpOptions,
  ];
  if (keystore !== undefined && http.insecureTls) logger.info('warning: TLS verification has been disabled');
  // Before the image, which is large: what has no signature is not downloaded.
  const early = keystore && (await getSignature(signature, signatureFile, signatureHttp, logger));
  const inspect = (bytes: Buffer): Promise<ImportInspector> | undefined =>
    keystore && signatureInspector(keystore, bytes, logger, wanted?.expect);
  const known = early && (await inspect(early));
  if (keystore !== undefined && early !== undefined && wanted !== undefined) {
    const { assertKnownSigner } = await import('../trust/verify.ts');
    await assertKnownSigner(keystore, wanted.image.name, early);
  }
  logger.debug(`fetching image from ${text}`);
  const label = progressLabel(context, 'Downloading ACI', url);
  using found = await download(url, {
    data: store.data,
    logger,
    http,
    label,
    position: context.position ?? 0,
    etag: stored?.etag ?? '',
  });
  if (found === undefined) {
    if (stored === undefined) throw new FetchError('http-status', 'bad HTTP status code: 304');
    store.touch(stored.key);
    return stored.key;
  }
  const inspector =
    known ??
    (keystore && (await inspect(await downloadDeferredSignature(new URL(signature), signatureHttp, logger))));
  const key = await importFile(context, found.fd, text, {
    unpack,
    inspector,
    latest: wanted?.latest ?? false,
  });
  store.writeRemote({
    url: text,
    signatureUrl: keystore === undefined ? '' : signature,
    etag: found.etag,
    key,
    maxAgeSeconds: found.maxAgeSeconds,
    downloadTime: Date.now(),
  });
  return key;
}

// Undefined when the server wants the image to be asked for first.
async function getSignature(
  address: string,
  file: string | undefined,
  http: HttpOptions,
  logger: FetchContext['logger'],
): Promise<Buffer | undefined> {
  if (file !== undefined) return readSignatureFile(file);
  const signature = await downloadSignature(new URL(address), http, logger);
  if (signature === undefined) logger.info('server requested deferring the signature download');
  return signature;
}

/** The same address with `.aci.asc` for `.aci`, as typed: credentials are found by what was typed. */
function signatureOf(text: string): string {
  return text.replace(/\.aci(?=[?#]|$)/, '.aci.asc');
}

function httpOptions(context: FetchContext, text: string, cookies: CookieJar): HttpOptions {
  const { insecure, config, env, signal } = context;
  return {
    insecureTls: insecure.tls,
    login: (method) => downloadHeaders(config.auth, text, { method }),
    env,
    cookies,
    ...(signal !== undefined && { signal }),
  };
}

/** `what` with the name of the file, where several are shown. */
function progressLabel({ position }: FetchContext, what: string, url: URL): string {
  return position !== undefined
    ? `${what} ${printable(path.posix.basename(url.pathname)).slice(0, MAX_LABEL)}`
    : what;
}

const MAX_LABEL = 30;
