// Errors of reading a journal. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type JournalErrorCode =
  /** The pod keeps no journal. */
  | 'no-journal'
  /** The file is of a kind this reader does not know. */
  | 'unsupported'
  | 'damaged';

/** A journal that is not there, or cannot be read. */
export class JournalError extends RktError<JournalErrorCode> {}
