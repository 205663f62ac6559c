// Errors of reading and unpacking archives. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type UnpackErrorCode =
  /** The bytes are not a whole archive, or not a whole compressed stream. */
  | 'bad-archive'
  /** An entry that would reach outside of its root, or cannot mean what it says. */
  | 'unsafe-entry'
  /** More entries, bytes, memory or expansion than any honest image needs. */
  | 'limit-exceeded'
  /** A format or entry type that is not supported. */
  | 'unsupported'
  /** The file system refused a file of the archive. */
  | 'write-failed';

/** An archive that cannot be unpacked. The message names the entry. */
export class UnpackError extends RktError<UnpackErrorCode> {}

/** Refuses an archive or an entry. */
export function refuse(code: UnpackErrorCode, message: string): never {
  throw new UnpackError(code, message);
}
