// Downloads signatures of images (contract stage0 4.5). Runs in stage0.

import type { Logger } from '@rkt/diagnostics/logger';
import { RktError } from '@rkt/diagnostics/rkt-error';

import { FetchError } from './errors.ts';
import { type HttpOptions, httpRequest, readBody } from './http.ts';
import { GO_WITHOUT, MAX_SIGNATURE_BYTES } from './signature.ts';

/**
 * Downloads a signature; undefined when the server wants the image to be asked for first.
 * @throws RktError `signature`
 */
export async function downloadSignature(
  url: URL,
  http: HttpOptions,
  logger: Logger,
): Promise<Buffer | undefined> {
  logger.debug(`downloading signature from ${url.href}`);
  try {
    const response = await httpRequest(url, http);
    if (response.status === 200) return await readBody(response, url, MAX_SIGNATURE_BYTES);
    response.body.destroy();
    if (response.status === 202) return undefined;
    throw new FetchError('http-status', `bad HTTP status code: ${response.status}`);
  } catch (cause) {
    throw downloadFailure(cause);
  }
}

/** Downloads a signature that was deferred, after its image. @throws RktError `signature`, also when it is deferred again */
export async function downloadDeferredSignature(
  url: URL,
  http: HttpOptions,
  logger: Logger,
): Promise<Buffer> {
  const signature = await downloadSignature(url, http, logger);
  if (signature !== undefined) return signature;
  throw downloadFailure(
    new FetchError('http-status', 'the server defers the signature again, after the image was downloaded'),
  );
}

function downloadFailure(cause: unknown): RktError {
  return new RktError('signature', 'error downloading the signature file', { cause, hint: GO_WITHOUT });
}
