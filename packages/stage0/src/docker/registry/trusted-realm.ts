// Whether a login may be sent to the token server that a registry names (go-containerregistry issue 2193). Pure; runs
// in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { shownUrl } from '../../fetch/http.ts';
import { DockerError } from '../errors.ts';

/**
 * The URL of a token server.
 * @param registry Where the challenge came from.
 * @throws DockerError `registry` for what is no http(s) URL, holds a login itself, or leaves https
 */
export function parseRealm(realm: string, registry: URL, allowHttp: boolean): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  const wrong = (reason: string): never => {
    throw new DockerError('registry', `${registry.host} names a token server ${reason}`);
  };
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return wrong(`that is no URL: ${quote(realm.slice(0, 200))}`);
  }
  if (url.username !== '' || url.password !== '') return wrong(`with a login in its URL: ${shownUrl(url)}`);
  if (url.protocol === 'http:' && !allowHttp) return wrong(`that does not use https: ${shownUrl(url)}`);
  url.hash = '';
  return url;
}

/**
 * Whether the token server belongs to the registry: the same host, or one with a common parent domain that is more than
 * a public suffix (`registry-1.docker.io` and `auth.docker.io`). Addresses have to be equal.
 */
export function belongsTo(realm: URL, registry: URL): boolean {
  if (realm.hostname === registry.hostname) return true;
  if (isAddress(realm.hostname) || isAddress(registry.hostname)) return false;
  const [a, b] = [labelsOf(realm), labelsOf(registry)];
  let shared = 0;
  while (shared < Math.min(a.length, b.length) && a[shared] === b[shared]) shared += 1;
  return shared >= suffixLength(b) + 1;
}

// Top-level label first.
function labelsOf({ hostname }: URL): string[] {
  return hostname.replace(/\.$/, '').split('.').reverse();
}

function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || /^[0-9.]+$/.test(hostname);
}

// How many labels are nobody's own, without the list of public suffixes: `co.uk` and the like by their form, and hosters
// whose customers share a domain, where nothing but the host itself belongs to it.
function suffixLength([top = '', second = '', third]: readonly string[]): number {
  const domain = `${second}.${top}`;
  if (SHARED_DOMAINS.has(domain)) return Infinity;
  const isCountry = top.length === 2 && third !== undefined && !KNOWN.has(domain);
  return isCountry && (second.length <= 3 || GENERIC.has(second)) ? 2 : 1;
}

const GENERIC = new Set(['gouv', 'govt', 'asso', 'info', 'mil', 'name', 'nom']);
// Short names below a country that are nobody's suffix but one owner's.
const KNOWN = new Set(['gcr.io', 'k8s.io', 'pkg.dev']);
const SHARED_DOMAINS = new Set([
  'amazonaws.com',
  'appspot.com',
  'azurecr.io',
  'azurewebsites.net',
  'blogspot.com',
  'cloudfront.net',
  'fly.dev',
  'github.io',
  'gitlab.io',
  'herokuapp.com',
  'netlify.app',
  'ngrok.io',
  'onrender.com',
  'pages.dev',
  'run.app',
  'vercel.app',
  'windows.net',
  'workers.dev',
]);
