// How many processors and how much memory a pod's machine gets, from the isolators of its apps (contract stage1 4). Pure.

import type { App } from '@rkt/spec/app';
import { parseQuantity, quantityBytes, quantityMilli } from '@rkt/spec/quantity';

/** A machine's size. */
export interface MachineSize {
  readonly processors: number;
  readonly megabytes: number;
}

/** For the guest's kernel and systemd. */
const OWN_MEGABYTES = 128;
const LEAST_MEGABYTES = 512;
const MEGABYTE = 1n << 20n;

/**
 * The sum of the limits, and some memory for the guest itself. An app without a limit may use all: as many processors as
 * the host has, and of memory what the least machine has beside the limits of the others.
 */
export function machineSize(apps: readonly Pick<App, 'isolators'>[], hostProcessors: number): MachineSize {
  const memory = apps.map((app) => limitOf(app, 'resource/memory'));
  const cpu = apps.map((app) => limitOf(app, 'resource/cpu'));
  const bytes = memory.reduce<bigint>(
    (sum, text) => sum + (text === undefined ? 0n : quantityBytes(parseQuantity(text))),
    0n,
  );
  const base = memory.includes(undefined) ? LEAST_MEGABYTES : OWN_MEGABYTES;
  const milli = cpu.reduce<bigint>(
    (sum, text) => sum + (text === undefined ? 0n : quantityMilli(parseQuantity(text))),
    0n,
  );
  const cores = Number((milli + 999n) / 1000n);
  return {
    processors: cpu.includes(undefined) ? hostProcessors : Math.max(1, Math.min(cores, hostProcessors)),
    megabytes: Math.max(LEAST_MEGABYTES, Number((bytes + MEGABYTE - 1n) / MEGABYTE) + base),
  };
}

// Of several the last counts, as for systemd.
function limitOf({ isolators = [] }: Pick<App, 'isolators'>, wanted: string): string | undefined {
  const value = isolators.findLast(({ name }) => name === wanted)?.value as { limit?: string } | undefined;
  return value?.limit;
}
