// Errors of images of the docker and OCI world. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type DockerErrorCode =
  /** The reference, or the argument around it, does not follow the grammar. */
  | 'bad-reference'
  /** A manifest, config, index or archive is not what it has to be. */
  | 'bad-image'
  /** Bytes differ from their digest or announced length. */
  | 'digest-mismatch'
  /** No such tag, digest or archive member. */
  | 'not-found'
  /** The image is the one that is known already; no error to users. */
  | 'unchanged'
  /** The image has no variant for this machine. */
  | 'no-platform'
  /** The registry wants a login, or refuses the one it got. */
  | 'unauthorized'
  /** The registry answers otherwise than the protocol allows. */
  | 'registry'
  /** A credential helper or file of credentials cannot be used. */
  | 'credentials';

/** An image that cannot be found or believed. */
export class DockerError extends RktError<DockerErrorCode> {}

/** Refuses what was read. */
export function refuse(code: DockerErrorCode, message: string): never {
  throw new DockerError(code, message);
}
