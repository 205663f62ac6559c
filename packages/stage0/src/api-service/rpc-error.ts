// Errors as clients of the service get them: a status code and the message. Pure. Runs in stage0.

import { errorChain } from '@rkt/diagnostics/rkt-error';

/** Status codes of gRPC (grpc.github.io/grpc/core/md_doc_statuscodes.html). */
const STATUS = {
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
} as const;

// What our own codes, and those of the system, mean to a client.
const MEANINGS: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ['malformed', STATUS.invalidArgument],
  ['bad-request', STATUS.invalidArgument],
  ['bad-uuid', STATUS.invalidArgument],
  ['ambiguous', STATUS.invalidArgument],
  ['no-match', STATUS.notFound],
  ['not-found', STATUS.notFound],
  ['busy', STATUS.resourceExhausted],
  ['no-logs', STATUS.failedPrecondition],
  ['not-implemented', STATUS.unimplemented],
  ['EACCES', STATUS.permissionDenied],
  ['EPERM', STATUS.permissionDenied],
]);

/** What grpc-js sends for `error`. */
export interface RpcError {
  readonly code: number;
  readonly details: string;
}

/** The innermost cause that says what it is decides; the message is the outermost. */
export function rpcError(error: unknown): RpcError {
  const chain = errorChain(error);
  const known = chain.map((link) => MEANINGS.get((link as { code?: unknown }).code)).filter((code) => code);
  return { code: known.at(-1) ?? STATUS.unknown, details: chain[0]?.message ?? String(error) };
}
