// Resource isolators as directives of systemd (contract 2.20). Pure.

import { parseQuantity, quantityBytes, quantityMilli } from '@rkt/spec/quantity';
import type { App } from '@rkt/spec/app';

import { SystemdError } from '../errors.ts';

/** What the host can do. */
export interface CgroupAbilities {
  readonly version: 1 | 2;
  /** Controllers that are there, e.g. `cpu`, `memory`. */
  readonly controllers: readonly string[];
}

/** Largest number of cores whose thousandths an int64 can hold. */
const MOST_CORES = (2n ** 63n - 1n) / 1000n;

/** Names of isolators that become directives. */
export const RESOURCE_ISOLATORS: readonly string[] = [
  'resource/memory',
  'resource/cpu',
  'os/linux/cpu-shares',
  'os/linux/oom-score-adj',
];

/**
 * The directives of an app's resource isolators, name and value. Of several of one kind the last counts; without a
 * limit nothing is set. What the kernel cannot do is told to `warn` and left out.
 * @throws SystemdError `bad-limit`
 */
export function resourceDirectives(
  { isolators = [] }: Pick<App, 'isolators'>,
  { version, controllers }: CgroupAbilities,
  warn: (line: string) => void,
): [name: string, value: string][] {
  const last = (wanted: string): unknown => isolators.findLast(({ name }) => name === wanted)?.value;
  const limit = (wanted: string): string | undefined =>
    (last(wanted) as { limit?: string } | undefined)?.limit;
  const supported = (controller: string): boolean => {
    if (controllers.includes(controller)) return true;
    warn(`warning: resource/${controller} isolator set but support disabled in the kernel, skipping`);
    return false;
  };
  const directives: [string, string][] = [];
  const memory = limit('resource/memory');
  if (memory !== undefined && supported('memory')) {
    directives.push(['MemoryMax', String(quantityBytes(parseQuantity(memory)))]);
  }
  const cpu = limit('resource/cpu');
  if (cpu !== undefined && supported('cpu')) directives.push(['CPUQuota', `${cpuPercent(cpu)}%`]);
  const shares = last('os/linux/cpu-shares');
  if (typeof shares === 'number' && supported('cpu')) directives.push(cpuShares(shares, version));
  const score = last('os/linux/oom-score-adj');
  if (typeof score === 'number') directives.push(['OOMScoreAdjust', String(score)]);
  return directives;
}

// systemd takes whole percents of one core, at least one.
function cpuPercent(text: string): bigint {
  const milli = quantityMilli(parseQuantity(text));
  if (milli / 1000n > MOST_CORES) {
    throw new SystemdError('bad-limit', `cpu limit exceeds the maximum millivalue: ${text}`);
  }
  const percent = milli / 10n;
  return percent < 1n ? 1n : percent;
}

// 1024 shares are the default of version 1, 100 that of version 2.
function cpuShares(shares: number, version: 1 | 2): [string, string] {
  if (version === 1) return ['CPUShares', String(shares)];
  return ['CPUWeight', String(Math.min(10000, Math.max(1, Math.round((shares * 100) / 1024))))];
}
