// Errors of reading and unpacking archives. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

import type { RaisableLimit } from './limits.ts';

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

/** Refuses an archive that costs more than `limit` allows, and says how to allow more. */
export function exceed(limit: RaisableLimit, message: string): never {
  throw new UnpackError('limit-exceeded', message, {
    hint: `if you trust the image, raise ${limit}: as a flag, or in configuration of kind limits`,
  });
}
