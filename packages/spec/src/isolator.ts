// Isolators: the limits and privileges of an app, by name (contract stage0 3.5). What each value must look
// like is in isolator-resource.ts and isolator-linux.ts. Pure; runs in every process.

import { AcIdentifier, sameName } from './ac-identifier.ts';
import { decodeOrThrow, defaulted, json, list, refine, required, struct } from './codec.ts';
import type { Codec, Reader } from './codec.ts';
import { refuse } from './errors.ts';
import { LINUX_ISOLATORS, SECCOMP_REMOVE_SET, SECCOMP_RETAIN_SET } from './isolator-linux.ts';
import { RESOURCE_ISOLATORS } from './isolator-resource.ts';

export interface Isolator {
  readonly name: AcIdentifier;
  /** JSON as it was read; the functions of isolator-resource.ts and isolator-linux.ts give it a type. */
  readonly value: unknown;
}

export {
  CAPABILITIES_REMOVE_SET,
  CAPABILITIES_RETAIN_SET,
  CPU_SHARES,
  NO_NEW_PRIVILEGES,
  OOM_SCORE_ADJ,
  SECCOMP_REMOVE_SET,
  SECCOMP_RETAIN_SET,
  SELINUX_CONTEXT,
  SYSCTL,
} from './isolator-linux.ts';
export {
  RESOURCE_BLOCK_BANDWIDTH,
  RESOURCE_BLOCK_IOPS,
  RESOURCE_CPU,
  RESOURCE_MEMORY,
  RESOURCE_NETWORK_BANDWIDTH,
} from './isolator-resource.ts';

/** What the standard says about the isolators of one name. */
export interface IsolatorKind {
  readonly codec: Reader<unknown>;
  /** Whether an app may have several. */
  readonly multi: boolean;
}

const KINDS: ReadonlyMap<string, IsolatorKind> = new Map([...RESOURCE_ISOLATORS, ...LINUX_ISOLATORS]);

/** One isolator; the value is checked when the name is known. */
export const Isolator: Codec<Isolator> = struct<Isolator>(
  'Isolator',
  { name: required(AcIdentifier, 'isolator name must be set'), value: defaulted(json, null) },
  (isolator) => {
    const kind = KINDS.get(isolator.name);
    if (kind !== undefined) decodeOrThrow(kind.codec, isolator.value, isolator.name);
    return isolator;
  },
);

/** The isolators of a pod: any names. */
export const PodIsolators: Codec<readonly Isolator[]> = list(Isolator);

/** The isolators of an app: known names only, single ones once, not both seccomp sets. */
export const AppIsolators: Codec<readonly Isolator[]> = refine(list(Isolator), (isolators) => {
  const seen = new Set<string>();
  for (const { name } of isolators) {
    const kind = KINDS.get(name) ?? refuse(`invalid isolator ${name}`);
    if (!kind.multi && seen.has(name)) refuse(`isolators set contains too many instances of type ${name}`);
    seen.add(name);
  }
  if (seen.has(SECCOMP_RETAIN_SET) && seen.has(SECCOMP_REMOVE_SET)) {
    refuse('isolators set contains incompatible types');
  }
  return isolators;
});

/** The isolator of `name` that counts: the last one (contract stage1 2.20). */
export function findIsolator(isolators: readonly Isolator[] | undefined, name: string): Isolator | undefined {
  return isolators?.findLast((isolator) => sameName(isolator.name, name));
}

/**
 * The values of all isolators of `name`, in order, as `codec` reads them, e.g. `ComputingResource`,
 * `SeccompSet`.
 *
 * @throws SpecError naming the isolator.
 */
export function isolatorValues<A>(
  isolators: readonly Isolator[] | undefined,
  name: string,
  codec: Codec<A>,
): readonly A[] {
  return (isolators ?? [])
    .filter((isolator) => sameName(isolator.name, name))
    .map(({ value }) => decodeOrThrow(codec, value, name));
}
