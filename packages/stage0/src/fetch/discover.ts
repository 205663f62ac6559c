// Asks the pages of an image's name, longest prefix first, where the image or its keys are (contract stage0 4.7).
// Runs in stage0.

import type { Logger } from '@rkt/diagnostics/logger';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';
import { type DiscoveryEndpoint, discoveryPrefixes, discoveryUrl, findEndpoints } from '@rkt/spec/discovery';
import type { ImageName } from '@rkt/spec/image-name';

import { discoveryHeaders } from '../config/authorization.ts';
import type { Config } from '../config/config.ts';
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
}

/** On whose terms pages are read. */
export interface PageTerms {
  readonly insecureTls: boolean;
  /** Whether pages may be asked for over plain http when https fails. */
  readonly allowHttp: boolean;
  /** How to log in to the servers of pages. */
  readonly auth: Config['auth'];
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** What each page without a result is told to, when that is wanted. */
  readonly debug?: Logger;
}

/** Where the image is said to be. @throws FetchError `discovery` in a chain that names the image */
export async function discoverEndpoint(context: FetchContext, image: ImageName): Promise<DiscoveryEndpoint> {
  const { insecure, config, env, signal, debug, logger } = context;
  const terms = {
    insecureTls: insecure.tls,
    allowHttp: insecure.http,
    auth: config.auth,
    env,
    ...(signal !== undefined && { signal }),
    ...(debug && { debug: logger }),
  };
  const find = (html: string): readonly DiscoveryEndpoint[] => findEndpoints(html, image);
  const [endpoint] = await searchPages(image.name, { tag: 'ac-discovery', find }, terms);
  return endpoint;
}

/**
 * What the first page has that has anything; later pages are not asked.
 * @throws FetchError `discovery` in a chain that names the image
 */
export async function searchPages<Result>(
  name: string,
  { tag, find }: PageSearch<Result>,
  terms: PageTerms,
): Promise<readonly [Result, ...Result[]]> {
  let last: unknown;
  for (const prefix of discoveryPrefixes(name)) {
    try {
      const [first, ...others] = find(await fetchPage(prefix, terms));
      if (first !== undefined) return [first, ...others];
      last = new FetchError('discovery', `no meta tag ${quote(tag)} for it on ${discoveryUrl(prefix)}`);
    } catch (error) {
      last = error;
    }
    if (terms.signal?.aborted === true) throw last;
    terms.debug?.error(`meta tag '${tag}' not found on ${prefix}`, last);
  }
  const { message, hint } = last as FetchError;
  throw wrap(
    `discovery failed for ${quote(name)}`,
    // The page of the host comes last, and says most.
    new FetchError('discovery', `discovery failed: ${message}`, hint === undefined ? {} : { hint }),
  );
}

async function fetchPage(prefix: string, terms: PageTerms): Promise<string> {
  try {
    return await fetchPageOver('https', prefix, terms);
  } catch (error) {
    if (!terms.allowHttp) throw error;
    return fetchPageOver('http', prefix, terms);
  }
}

async function fetchPageOver(
  scheme: 'https' | 'http',
  prefix: string,
  { insecureTls, auth, env, signal }: PageTerms,
): Promise<string> {
  const address = discoveryUrl(prefix, scheme);
  const url = new URL(address);
  const response = await httpRequest(url, {
    insecureTls,
    login: discoveryHeaders(auth, address),
    env,
    times: { connectMs: CONNECT_MS },
    ...(signal !== undefined && { signal }),
  });
  if (response.status === 200) return (await readBody(response, url, MAX_PAGE_BYTES)).toString('utf8');
  response.body.destroy();
  throw new FetchError('http-status', `${url.host}: expected a 200 OK got ${response.status}`);
}
