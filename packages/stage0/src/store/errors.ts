// Errors of the image store. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type StoreErrorCode =
  | 'not-found'
  | 'ambiguous'
  | 'bad-id'
  /** The metadata database is of a newer rkt, or cannot be read. */
  | 'database'
  | 'bad-image'
  | 'damaged'
  | 'storage';

/** An image that is not there, or a store that cannot be used. */
export class StoreError extends RktError<StoreErrorCode> {}
