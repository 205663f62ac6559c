// What can go wrong with a pod's networks. Runs in stage1's entry points, on the host.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type NetworkErrorCode =
  | 'bad-network-list'
  | 'bad-network-config'
  | 'network-not-found'
  | 'plugin-not-found'
  | 'plugin-failed'
  | 'bad-plugin-result'
  | 'filter-failed';

/** A network that cannot be joined, left or forwarded to. */
export class NetworkError extends RktError<NetworkErrorCode> {}
