// Errors of the metadata service, on both sides of its socket. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type MetadataErrorCode =
  /** Nobody answers at the registration socket. */
  | 'unreachable'
  /** The service answered, but not with 200. */
  | 'refused'
  /** Another service has the socket, or what lies in its place is none. */
  | 'socket-taken'
  /** An address or a socket cannot be listened on. */
  | 'cannot-listen';

/** A service that cannot start, or cannot be reached. */
export class MetadataError extends RktError<MetadataErrorCode> {}

/** A request that gets `status` and the message as its answer. */
export class Refusal extends RktError<'request-refused'> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super('request-refused', message);
    this.status = status;
    this.headers = headers;
  }
}
