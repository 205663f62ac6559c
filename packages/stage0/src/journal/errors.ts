// Errors of reading journals. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type JournalErrorCode =
  /** The pod keeps no journal. */
  | 'no-journal'
  /** Compression, or a feature of the format, that this reader does not know. */
  | 'unsupported'
  | 'damaged';

/** A pod without a journal, or a journal file that is not what it should be. */
export class JournalError extends RktError<JournalErrorCode> {}
