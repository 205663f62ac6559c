// What an image in a file or directory is called. Pure; runs in stage0.

import path from 'node:path';

import type { DockerReference } from './oci-image.ts';
import { parseDockerReference } from './reference.ts';

const LOCAL_INDEX = 'localhost';

/** The reference that `name` is, with what was typed; undefined when it is none. */
export function namedReference(name: string, text: string): DockerReference | undefined {
  try {
    return { ...parseDockerReference(name), text };
  } catch {
    return undefined;
  }
}

/** For images without a name: that of their file or directory, without its extensions. */
export function localReference(file: string, tag: string | undefined, text: string): DockerReference {
  const base = path
    .basename(file)
    .toLowerCase()
    .replace(/(?:\.(?:tar|gz|tgz|xz|zst|bz2|oci))+$/, '');
  const repository = base
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 128);
  const version = tag !== undefined && /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(tag) ? { tag } : {};
  return { index: LOCAL_INDEX, repository: repository === '' ? 'image' : repository, ...version, text };
}
