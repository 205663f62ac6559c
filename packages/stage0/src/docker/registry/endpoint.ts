// Where a registry is reached: its own host and its mirrors. Pure; runs in stage0.

import type { DockerMirror } from '../../config/config.ts';
import type { DockerReference } from '../oci-image.ts';

/** One server that has the image. */
export interface Endpoint {
  /** `host` or `host:port`: what logins and certificates are found by. */
  readonly host: string;
  /** Name of the repository there. */
  readonly repository: string;
  readonly scheme: 'https' | 'http';
  readonly isMirror: boolean;
}

/** All servers, in the order they are asked: the mirrors as configured, then the registry itself. */
export function endpointsOf(
  { index, repository }: DockerReference,
  mirrors: ReadonlyMap<string, readonly DockerMirror[]>,
): Endpoint[] {
  const own: Endpoint = { host: index, repository, scheme: 'https', isMirror: false };
  const others = (mirrors.get(index) ?? []).map(({ host, prefix, scheme }): Endpoint => ({
    host,
    repository: prefix === '' ? repository : `${prefix}/${repository}`,
    scheme,
    isMirror: true,
  }));
  return [...others, own];
}
