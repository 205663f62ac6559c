// Resource isolators: cpu, memory, block and network bandwidth (contract stage0 3.5). Pure; runs in every
// process.

import { defaulted, flag, given, struct } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';
import type { Isolator, IsolatorKind } from './isolator.ts';
import { formatQuantity, QuantityText } from './quantity.ts';
import type { Quantity } from './quantity.ts';

export const RESOURCE_CPU = 'resource/cpu';
export const RESOURCE_MEMORY = 'resource/memory';
export const RESOURCE_BLOCK_BANDWIDTH = 'resource/block-bandwidth';
export const RESOURCE_BLOCK_IOPS = 'resource/block-iops';
export const RESOURCE_NETWORK_BANDWIDTH = 'resource/network-bandwidth';

/** The value of a resource isolator; request and limit are quantities. */
export interface ResourceValue {
  readonly default: boolean;
  readonly request?: string;
  readonly limit?: string;
}

function resource(check: (value: ResourceValue) => void): Codec<ResourceValue> {
  return struct<ResourceValue>(
    'Resource',
    { default: defaulted(flag, false), request: given(QuantityText), limit: given(QuantityText) },
    (value) => {
      check(value);
      return value;
    },
  );
}

/** Reads cpu and memory isolators. */
export const ComputingResource: Codec<ResourceValue> = resource((value) => {
  if (value.default) refuse('default must be false');
});

/** Reads block and network isolators. */
export const BandwidthResource: Codec<ResourceValue> = resource((value) => {
  if (!value.default) refuse('default must be true');
  if (value.request !== undefined) refuse('request must not be set');
});

/** Resource isolators by name. */
export const RESOURCE_ISOLATORS: readonly (readonly [string, IsolatorKind])[] = [
  [RESOURCE_CPU, { codec: ComputingResource, multi: true }],
  [RESOURCE_MEMORY, { codec: ComputingResource, multi: true }],
  [RESOURCE_BLOCK_BANDWIDTH, { codec: BandwidthResource, multi: true }],
  [RESOURCE_BLOCK_IOPS, { codec: BandwidthResource, multi: true }],
  [RESOURCE_NETWORK_BANDWIDTH, { codec: BandwidthResource, multi: true }],
];

/** A cpu or memory isolator whose request and limit are both `quantity`, in canonical form. */
export function resourceIsolator(
  name: typeof RESOURCE_CPU | typeof RESOURCE_MEMORY,
  quantity: Quantity,
): Isolator {
  const text = formatQuantity(quantity);
  return { name, value: { default: false, request: text, limit: text } };
}
