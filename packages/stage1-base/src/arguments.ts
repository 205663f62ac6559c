// Arguments of the stage1 entry points with what every flavour checks: the pod's UUID. The table of flags is
// @rkt/pod-layout's, shared with stage0. Pure; runs in stage1 on the host.

import * as entrypoints from '@rkt/pod-layout/entrypoints';
import type { GcArguments, RunArguments, StopArguments } from '@rkt/pod-layout/entrypoints';

import { Stage1Error } from './errors.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Parses the words after argv[0] of `run` (contract 1.2). Flags in `unknown` are refused as if they did not exist:
 * a flavour names what it cannot do (contract 3).
 * @throws PodLayoutError `bad-argument`; Stage1Error `bad-argument` when the UUID is missing or malformed
 */
export function parseRunArguments(argv: readonly string[], unknown: readonly string[] = []): RunArguments {
  return withUuid(entrypoints.parseRunArguments(argv, unknown));
}

/** Parses the words after argv[0] of `gc` (contract 1.4). @throws as {@link parseRunArguments} */
export function parseGcArguments(argv: readonly string[]): GcArguments {
  return withUuid(entrypoints.parseGcArguments(argv));
}

/** Parses the words after argv[0] of `stop` (contract 1.5). @throws as {@link parseRunArguments} */
export function parseStopArguments(argv: readonly string[]): StopArguments {
  return withUuid(entrypoints.parseStopArguments(argv));
}

function withUuid<Arguments extends { readonly uuid: string }>(args: Arguments): Arguments {
  if (!UUID.test(args.uuid)) throw new Stage1Error('bad-argument', 'UUID is missing or malformed');
  return { ...args, uuid: args.uuid.toLowerCase() };
}
