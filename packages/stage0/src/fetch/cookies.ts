// Cookies of one image: servers set them on a redirect or with the signature and want them back (contract stage0 4.6,
// RFC 6265). They live as long as the fetch, in memory. Pure but for the clock; runs in stage0.
//
// Domains are not checked against the list of public suffixes: a page that sets a cookie for all of co.uk gets it sent
// only where its own redirects lead.

import { isIP } from 'node:net';

interface Cookie {
  readonly name: string;
  readonly value: string;
  /** Without a leading dot, lower case. */
  readonly domain: string;
  readonly hostOnly: boolean;
  readonly path: string;
  readonly secure: boolean;
}

const MAX_COOKIES = 50;
const MAX_COOKIE_LENGTH = 4096;

/** What servers asked to be told again. */
export class CookieJar {
  #cookies: readonly Cookie[] = [];

  /** Keeps the Set-Cookie headers of an answer from `url`, as far as it may set them. */
  store(url: URL, headers: readonly string[] = [], now: number = Date.now()): void {
    for (const header of headers.slice(0, MAX_COOKIES)) {
      const parsed = parseCookie(header, url, now);
      if (parsed === undefined) continue;
      const others = this.#cookies.filter((each) => !isSame(each, parsed.cookie));
      this.#cookies = (parsed.expired ? others : [...others, parsed.cookie]).slice(-MAX_COOKIES);
    }
  }

  /** The Cookie header for a request, if there is anything to say. */
  headersFor(url: URL): { readonly Cookie?: string } {
    const pairs = this.#cookies
      .filter((cookie) => fits(cookie, url))
      .sort((a, b) => b.path.length - a.path.length)
      .map(({ name, value }) => `${name}=${value}`);
    return pairs.length === 0 ? {} : { Cookie: pairs.join('; ') };
  }
}

function parseCookie(
  header: string,
  url: URL,
  now: number,
): { readonly cookie: Cookie; readonly expired: boolean } | undefined {
  if (header.length > MAX_COOKIE_LENGTH) return undefined;
  const [pair = '', ...rest] = header.split(';');
  const equals = pair.indexOf('=');
  const name = pair.slice(0, Math.max(equals, 0)).trim();
  if (name === '') return undefined;
  const attributes = new Map(rest.map(splitAttribute));
  const domain = (attributes.get('domain') ?? '').replace(/^\./, '').toLowerCase();
  if (domain !== '' && !maySet(url.hostname, domain)) return undefined;
  const path = attributes.get('path') ?? '';
  const cookie = {
    name,
    value: pair.slice(equals + 1).trim(),
    domain: domain === '' ? url.hostname : domain,
    hostOnly: domain === '',
    path: path.startsWith('/') ? path : url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf('/'))),
    secure: attributes.has('secure'),
  };
  return { cookie, expired: isExpired(attributes, now) };
}

function splitAttribute(text: string): [name: string, value: string] {
  const [name = '', ...value] = text.split('=');
  return [name.trim().toLowerCase(), value.join('=').trim()];
}

// Max-Age comes before Expires.
function isExpired(attributes: ReadonlyMap<string, string>, now: number): boolean {
  const maxAge = attributes.get('max-age');
  if (maxAge !== undefined && /^-?[0-9]+$/.test(maxAge)) return Number(maxAge) <= 0;
  return Date.parse(attributes.get('expires') ?? '') <= now;
}

function maySet(host: string, domain: string): boolean {
  return domain === host || (domain.includes('.') && isBelow(host, domain));
}

function isBelow(host: string, domain: string): boolean {
  return host.endsWith(`.${domain}`) && isIP(host) === 0;
}

function fits({ domain, hostOnly, path, secure }: Cookie, url: URL): boolean {
  if (secure && url.protocol !== 'https:') return false;
  if (url.hostname !== domain && (hostOnly || !isBelow(url.hostname, domain))) return false;
  const { pathname } = url;
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}

function isSame(a: Cookie, b: Cookie): boolean {
  return a.name === b.name && a.domain === b.domain && a.path === b.path;
}
