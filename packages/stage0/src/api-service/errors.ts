// Errors of the API service. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type ApiErrorCode =
  /** Bytes of a request that are no such message. */
  | 'malformed'
  /** Something of a request that makes no sense. */
  | 'bad-request'
  | 'not-found'
  | 'not-implemented'
  /** As much as the service does at once is being done. */
  | 'busy'
  /** The pod keeps no journal. */
  | 'no-logs'
  /** Nothing to listen on. */
  | 'socket';

/** A request that cannot be answered, or a service that cannot start. */
export class ApiError extends RktError<ApiErrorCode> {}
