// What an image argument refers to (contract stage0 4.2, 11.1). Runs in stage0.

import { statSync } from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { RktError } from '@rkt/diagnostics/rkt-error';
import { hasAciExtension } from '@rkt/spec/aci';
import { type ImageName, parseImageName, withPlatform } from '@rkt/spec/image-name';

import { parseDockerReference } from '../docker/reference.ts';

/** An image of the docker and OCI world. */
export type ContainerReference = Extract<
  ImageReference,
  { readonly kind: 'docker' | 'oci' | 'oci-archive' | 'docker-archive' }
>;

/** An image argument, understood. */
export type ImageReference =
  | { readonly kind: 'file'; readonly path: string }
  /** `text` is what the user typed, without a password: a URL object drops default ports. */
  | { readonly kind: 'url'; readonly text: string; readonly url: URL }
  /** `reference` has been checked. */
  | { readonly kind: 'docker'; readonly reference: string }
  /** An OCI image layout. `text` is the argument, `path` is absolute. */
  | { readonly kind: 'oci'; readonly text: string; readonly path: string; readonly tag?: string }
  | { readonly kind: 'oci-archive'; readonly text: string; readonly path: string; readonly tag?: string }
  | {
      readonly kind: 'docker-archive';
      readonly text: string;
      readonly path: string;
      readonly reference?: string;
    }
  /** `text` is what the user typed; `image` has the host's os and arch where it named none. */
  | { readonly kind: 'name'; readonly text: string; readonly image: ImageName };

/** @throws RktError `bad-reference`, DockerError `bad-reference`, SpecError */
export function parseImageReference(argument: string, cwd: string): ImageReference {
  const scheme = schemeOf(argument);
  switch (scheme) {
    case undefined:
      return looksLikePath(argument, cwd)
        ? fileReference(path.resolve(cwd, argument))
        : nameReference(argument);
    case 'file':
    case 'http':
    case 'https':
      return urlReference(argument);
    case 'docker':
      return dockerReference(argument.slice('docker:'.length));
    case 'oci':
    case 'oci-archive':
    case 'docker-archive':
      return localReference(scheme, argument, cwd);
    case 'cimd':
      return distributionReference(argument);
    default:
      // `name:version`, where the name has no slash.
      return nameReference(argument);
  }
}

// As Go's URL parser sees it: a slash before the colon means there is no scheme.
function schemeOf(argument: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):/i.exec(argument)?.[1]?.toLowerCase();
}

function looksLikePath(argument: string, cwd: string): boolean {
  if (path.isAbsolute(argument)) return true;
  if (isRegularFile(path.resolve(cwd, argument))) return true;
  if (argument.includes(':')) return false;
  return argument.includes('./') || path.extname(argument) === '.aci';
}

function isRegularFile(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return false;
  }
}

function fileReference(absolute: string): ImageReference {
  if (!hasAciExtension(absolute)) return refuse(`file://${absolute}`);
  return { kind: 'file', path: absolute };
}

function urlReference(argument: string): ImageReference {
  if (!URL.canParse(argument)) return refuse(argument);
  const url = new URL(argument);
  if (!hasAciExtension(url.pathname)) return refuse(argument);
  if (url.protocol !== 'file:')
    return url.hostname === '' ? refuse(argument) : { kind: 'url', text: withoutPassword(argument), url };
  return { kind: 'file', path: path.resolve('/', decodePath(url.pathname, argument)) };
}

function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^/?#@:]*):[^/?#]*@/i, '$1:***@');
}

function decodePath(pathname: string, argument: string): string {
  try {
    const decoded = decodeURIComponent(pathname);
    return decoded.includes('\0') ? refuse(argument) : decoded;
  } catch {
    return refuse(argument);
  }
}

function dockerReference(rest: string): ImageReference {
  const reference = rest.startsWith('//') ? rest.slice(2) : rest;
  if (reference === '') refuse(`docker:${rest}`);
  parseDockerReference(reference);
  return { kind: 'docker', reference };
}

// SCHEME:PATH[:WHICH]; the first colon ends the path, as with skopeo.
function localReference(
  kind: 'oci' | 'oci-archive' | 'docker-archive',
  text: string,
  cwd: string,
): ImageReference {
  const [, file = '', which] = /^[^:]*:([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  if (file === '' || which === '' || file.includes('\0')) return refuse(text);
  const found = { text, path: path.resolve(cwd, file) };
  if (which === undefined) return { kind, ...found };
  return kind === 'docker-archive' ? { kind, ...found, reference: which } : { kind, ...found, tag: which };
}

function nameReference(text: string): ImageReference {
  return { kind: 'name', text, image: withPlatform(parseImageName(text)) };
}

// rkt's own form of a reference: cimd:TYPE:v=0:DATA.
function distributionReference(argument: string): ImageReference {
  const [, type = '', version = '', data] = /^cimd:([^:]*):v=([^:]*):(.*)$/is.exec(argument) ?? [];
  if (data === undefined) return refuse(argument);
  if (!['appc', 'aci-archive', 'docker'].includes(type)) {
    throw new RktError('bad-reference', `unknown distribution type: ${quote(type)}`);
  }
  if (version !== '0')
    throw new RktError('bad-reference', `unsupported distribution version: ${quote(version)}`);
  if (type === 'docker') return dockerReference(data);
  if (type === 'aci-archive') return urlReference(decodePath(data.replaceAll('+', ' '), argument));
  return appcReference(data);
}

// NAME?label=value&...
function appcReference(data: string): ImageReference {
  const [name = '', query = ''] = data.split('?', 2);
  const labels = [...new URLSearchParams(query)].map(([label, value]) => `,${label}=${value}`);
  return nameReference(`${name}${labels.join('')}`);
}

function refuse(text: string): never {
  throw new RktError('bad-reference', `invalid image string ${quote(text)}`);
}
