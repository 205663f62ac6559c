// Image discovery: which pages to ask and what their meta tags say about images and keys (contract stage0
// 4.7, 11.9). Pure: fetching is stage0's. Runs in every process.

import { metaTags } from './html-meta.ts';
import type { ImageName } from './image-name.ts';
import { labelValue } from './labels.ts';
import { parseWebUrl } from './url.ts';

/** Where one image can be had. */
export interface DiscoveryEndpoint {
  readonly aci: string;
  readonly signature: string;
}

/** The prefixes of `name` to ask, longest first: the name itself, then cut at each slash. */
export function discoveryPrefixes(name: string): string[] {
  const parts = name.split('/');
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

/** The page of one prefix. */
export function discoveryUrl(prefix: string, scheme: 'https' | 'http' = 'https'): string {
  return `${scheme}://${prefix}?ac-discovery=1`;
}

/**
 * The endpoints a page offers for `image`, in order; tags that do not apply or leave a `{...}` open are
 * skipped.
 */
export function findEndpoints(html: string, image: ImageName): DiscoveryEndpoint[] {
  return valuesFor(html, 'ac-discovery', image.name).flatMap((template) => {
    const aci = renderTemplate(template, image, 'aci');
    const signature = renderTemplate(template, image, 'aci.asc');
    return aci === undefined || signature === undefined ? [] : [{ aci, signature }];
  });
}

/** The URLs of the public keys a page offers for `name`, in order. */
export function findPublicKeys(html: string, name: string): string[] {
  return valuesFor(html, 'ac-discovery-pubkeys', name).filter(isWebUrl);
}

/**
 * `template` with `{name}`, `{LABEL}` and `{ext}` filled in, or undefined when a `{...}` remains. An image
 * without a version is asked for as `latest`.
 */
export function renderTemplate(
  template: string,
  image: ImageName,
  ext: 'aci' | 'aci.asc',
): string | undefined {
  const version = { name: 'version', value: labelValue(image.labels, 'version') ?? 'latest' };
  const values = [{ name: 'name', value: image.name }, version, ...image.labels, { name: 'ext', value: ext }];
  // The replacement is a function, as text would have its `$` interpreted.
  const url = values.reduce((text, { name, value }) => text.replaceAll(`{${name}}`, () => value), template);
  return /\{[^{}]*\}/.test(url) ? undefined : url;
}

// The second half of each tag `kind` whose first half, a prefix, fits `name`.
function valuesFor(html: string, kind: string, name: string): string[] {
  return metaTags(html)
    .filter((tag) => tag.name === kind)
    .map((tag) => splitContent(tag.content))
    .filter(({ prefix, value }) => value !== '' && name.startsWith(prefix))
    .map(({ value }) => value);
}

function splitContent(content: string): { prefix: string; value: string } {
  const trimmed = content.trim();
  const space = trimmed.search(/\s/);
  return space === -1
    ? { prefix: trimmed, value: '' }
    : { prefix: trimmed.slice(0, space), value: trimmed.slice(space).trim() };
}

function isWebUrl(text: string): boolean {
  try {
    return parseWebUrl(text) === text;
  } catch {
    return false;
  }
}
