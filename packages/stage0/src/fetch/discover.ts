// Asks the pages of an image's name, longest prefix first, where the image or its keys are (contract stage0 4.7).
// Runs in stage0.

import { wrap } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';
import { type DiscoveryEndpoint, discoveryPrefixes, discoveryUrl, findEndpoints } from '@rkt/spec/discovery';
import type { ImageName } from '@rkt/spec/image-name';

import { discoveryHeaders } from '../config/authorization.ts';
import type { FetchContext } from './context.ts';
import { FetchError } from './errors.ts';
import { httpRequest, readBody } from './http.ts';

// A page of meta tags; what is larger was not made for us.
const MAX_PAGE_BYTES = 1024 * 1024;
const CONNECT_MS = 20_000;

/** What to look for on discovery pages. */
export interface PageSearch<Result> {
  /** Name of the meta tag, for messages. */
  readonly tag: string;
  readonly find: (html: string) => readonly Result[];
  /** Whether pages may be asked for over plain http when https fails. */
  readonly allowHttp: boolean;
}

/** Where the image is said to be. @throws FetchError `discovery` in a chain that names the image */
export async function discoverEndpoint(context: FetchContext, image: ImageName): Promise<DiscoveryEndpoint> {
  const [endpoint] = await searchPages(context, image.name, {
    tag: 'ac-discovery',
    find: (html) => findEndpoints(html, image),
    allowHttp: context.insecure.http,
  });
  return endpoint;
}

/**
 * What the first page has that has anything; later pages are not asked.
 * @throws FetchError `discovery` in a chain that names the image
 */
export async function searchPages<Result>(
  context: FetchContext,
  name: string,
  search: PageSearch<Result>,
): Promise<readonly [Result, ...Result[]]> {
  let last: unknown;
  for (const prefix of discoveryPrefixes(name)) {
    try {
      const [first, ...others] = search.find(await fetchPage(context, prefix, search.allowHttp));
      if (first !== undefined) return [first, ...others];
      last = new FetchError(
        'discovery',
        `no meta tag ${quote(search.tag)} for it on ${discoveryUrl(prefix)}`,
      );
    } catch (error) {
      last = error;
    }
    if (context.signal?.aborted === true) throw last;
    if (context.debug) context.logger.error(`meta tag '${search.tag}' not found on ${prefix}`, last);
  }
  const { message, hint } = last as FetchError;
  throw wrap(
    `discovery failed for ${quote(name)}`,
    // The page of the host comes last, and says most.
    new FetchError('discovery', `discovery failed: ${message}`, hint === undefined ? {} : { hint }),
  );
}

async function fetchPage(context: FetchContext, prefix: string, allowHttp: boolean): Promise<string> {
  try {
    return await fetchPageOver('https', context, prefix);
  } catch (error) {
    if (!allowHttp) throw error;
    return fetchPageOver('http', context, prefix);
  }
}

async function fetchPageOver(
  scheme: 'https' | 'http',
  { insecure, config, env, signal }: FetchContext,
  prefix: string,
): Promise<string> {
  const address = discoveryUrl(prefix, scheme);
  const url = new URL(address);
  const response = await httpRequest(url, {
    insecureTls: insecure.tls,
    login: discoveryHeaders(config.auth, address),
    env,
    times: { connectMs: CONNECT_MS },
    ...(signal !== undefined && { signal }),
  });
  if (response.status === 200) return (await readBody(response, url, MAX_PAGE_BYTES)).toString('utf8');
  response.body.destroy();
  throw new FetchError('http-status', `${url.host}: expected a 200 OK got ${response.status}`);
}
