// Errors of finding and fetching images. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type FetchErrorCode =
  | 'image-not-found'
  | 'not-supported'
  | 'signature'
  | 'discovery'
  /** Another image came than the one that was asked for. */
  | 'wrong-image'
  | 'http-status'
  | 'network'
  | 'proxy'
  | 'redirect'
  | 'too-large'
  | 'changed'
  /** Not needed any more, as another image of the same command failed. */
  | 'cancelled';

/** An image that cannot be had. */
export class FetchError extends RktError<FetchErrorCode> {}
