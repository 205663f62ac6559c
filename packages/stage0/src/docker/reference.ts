// References to docker images: `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]` (contract stage0 5.1). Pure; runs in
// stage0.

import { quote } from '@rkt/diagnostics/quote';

import { DockerError } from './errors.ts';
import type { DockerReference } from './oci-image.ts';

/** The registry of references that name none. */
export const DEFAULT_INDEX = 'registry-1.docker.io';
const DEFAULT_TAG = 'latest';
const OFFICIAL = 'library/';
// Other names of the default registry.
const DEFAULT_INDEX_NAMES = new Set([DEFAULT_INDEX, 'docker.io', 'index.docker.io']);

// Grammar of the distribution specification.
const COMPONENT = String.raw`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`;
const REPOSITORY = new RegExp(String.raw`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const HOST = new RegExp(String.raw`^(?:${LABEL}(?:\.${LABEL})*|\[[0-9a-fA-F:]+\])(?::([0-9]{1,5}))?$`);
const MAX_NAME_LENGTH = 255;

/**
 * Reads what follows `docker:` or `docker://`. The tag is `latest` unless there is a digest; with both, the digest
 * decides what is fetched.
 * @throws DockerError `bad-reference`
 */
export function parseDockerReference(text: string): DockerReference {
  const [named, digest] = splitOnce(text, '@');
  if (digest !== undefined && !DIGEST.test(digest)) refuseReference(text, `bad digest ${quote(digest)}`);
  const slash = named.indexOf('/');
  const hasIndex = slash > 0 && isRegistry(named.slice(0, slash));
  const path = hasIndex ? named.slice(slash + 1) : named;
  const [short, tag] = splitOnce(path, ':');
  if (tag !== undefined && !TAG.test(tag)) refuseReference(text, `bad tag ${quote(tag)}`);
  const index = indexOf(text, hasIndex ? named.slice(0, slash) : DEFAULT_INDEX);
  const repository = index === DEFAULT_INDEX && !short.includes('/') ? `${OFFICIAL}${short}` : short;
  if (!REPOSITORY.test(repository) || index.length + 1 + repository.length > MAX_NAME_LENGTH) {
    const reason = /[A-Z]/.test(repository) ? 'repository names are lower case' : 'bad repository name';
    refuseReference(text, `${reason}: ${quote(repository)}`);
  }
  const chosen = tag ?? (digest === undefined ? DEFAULT_TAG : undefined);
  return {
    index,
    repository,
    ...(chosen !== undefined && { tag: chosen }),
    ...(digest !== undefined && { digest }),
    text,
  };
}

/** The shortest text that means the same: without default registry, `library/` and `:latest`. */
export function simpleDockerReference({ index, repository, tag, digest }: DockerReference): string {
  const isDefault = index === DEFAULT_INDEX;
  const short =
    isDefault && repository.startsWith(OFFICIAL) && !repository.slice(OFFICIAL.length).includes('/')
      ? repository.slice(OFFICIAL.length)
      : repository;
  // A first component that looks like a registry would be read as one.
  const [first = '', ...others] = short.split('/');
  const host = isDefault && (others.length === 0 || !isRegistry(first)) ? '' : `${index}/`;
  const version = tag === undefined || (tag === DEFAULT_TAG && digest === undefined) ? '' : `:${tag}`;
  return `${host}${short}${version}${digest === undefined ? '' : `@${digest}`}`;
}

/** All of it: `registry-1.docker.io/library/busybox:latest`. */
export function fullDockerReference({ index, repository, tag, digest }: DockerReference): string {
  return `${index}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function isRegistry(component: string): boolean {
  return component.includes('.') || component.includes(':') || component === 'localhost';
}

function indexOf(text: string, name: string): string {
  const port = HOST.exec(name)?.[1];
  const index = name.toLowerCase();
  if (!HOST.test(name) || Number(port ?? 1) > 65535 || !isPlainHost(index)) {
    return refuseReference(text, `bad registry ${quote(name)}`);
  }
  return DEFAULT_INDEX_NAMES.has(index) ? DEFAULT_INDEX : index;
}

// `1.2` and `0x7f.1` are addresses in disguise, and `a.0` is no host at all.
function isPlainHost(index: string): boolean {
  if (!URL.canParse(`https://${index}/`)) return false;
  return index.startsWith('[') || index.replace(/:.*/, '') === new URL(`https://${index}/`).hostname;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function refuseReference(text: string, reason: string): never {
  throw new DockerError('bad-reference', `docker distribution creation error: ${reason}`, {
    hint: `invalid docker URL ${quote(`docker://${text}`)}; expected syntax is "docker://[REGISTRY_HOST[:REGISTRY_PORT]/]IMAGE_NAME[:TAG]"`,
  });
}
