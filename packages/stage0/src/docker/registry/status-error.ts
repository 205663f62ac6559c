// What an answer means that is not the one asked for. Runs in stage0.

import { printable } from '@rkt/diagnostics/quote';

import { type HttpResponse, readBody, shownUrl } from '../../fetch/http.ts';
import { DockerError, type DockerErrorCode } from '../errors.ts';
import { bareType } from '../media-types.ts';

const MAX_ERROR_BYTES = 64 * 1024;
const MAX_SHOWN = 300;

/** An error for `response`, with what the registry says about it; reads or drops the body. */
export async function statusError(response: HttpResponse, url: URL): Promise<DockerError> {
  const detail = await explanation(response, url);
  return new DockerError(
    codeOf(response.status),
    `Unexpected HTTP code: ${response.status}, URL: ${shownUrl(url)}${detail === '' ? '' : `: ${detail}`}`,
  );
}

function codeOf(status: number): DockerErrorCode {
  if (status === 404) return 'not-found';
  return status === 401 || status === 403 ? 'unauthorized' : 'registry';
}

// {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}; everything else is not worth a line.
async function explanation(response: HttpResponse, url: URL): Promise<string> {
  if (!/[/+]json$/.test(bareType(response.header('content-type')))) {
    response.body.destroy();
    return '';
  }
  try {
    const body = JSON.parse((await readBody(response, url, MAX_ERROR_BYTES)).toString('utf8')) as {
      errors?: readonly { message?: unknown; code?: unknown }[];
    };
    const [first] = body.errors ?? [];
    const text = first?.message || first?.code;
    return typeof text === 'string' ? printable(text.slice(0, MAX_SHOWN)) : '';
  } catch {
    response.body.destroy();
    return '';
  }
}
