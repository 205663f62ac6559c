// Errors of finding and fetching images. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type FetchErrorCode =
  | 'image-not-found'
  | 'not-supported'
  | 'signature'
  | 'http-status'
  | 'network'
  | 'redirect'
  | 'too-large'
  | 'changed';

/** An image that cannot be had. */
export class FetchError extends RktError<FetchErrorCode> {}
