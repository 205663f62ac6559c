// What can go wrong with a pod's networks. Runs in stage1's entry points, on the host.

import { errorChain, RktError } from '@rkt/diagnostics/rkt-error';

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

/** A failure that names what it happened to: users see the innermost message alone. */
export function during(what: string, error: unknown): NetworkError {
  const chain = errorChain(error);
  const innermost = chain.at(-1);
  const code = innermost instanceof NetworkError ? innermost.code : 'bad-network-config';
  const hint = chain.findLast(
    (link): link is RktError => link instanceof RktError && link.hint !== undefined,
  )?.hint;
  return new NetworkError(code, `${what}: ${innermost?.message ?? ''}`, hint === undefined ? {} : { hint });
}
