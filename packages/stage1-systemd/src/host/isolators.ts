// Resource isolators as directives of systemd (contract 2.20). Pure.

import { parseQuantity, quantityBytes, quantityMilli } from '@rkt/spec/quantity';
import type { App } from '@rkt/spec/app';

import { SystemdError } from '../errors.ts';

/** What the host can do for a pod. */
export interface CgroupAbilities {
  readonly version: 1 | 2;
  /** Controllers that the pod's systemd can use, e.g. `cpu`, `memory`. */
  readonly controllers: readonly string[];
  /** The lowest oom score adjustment that a process of the pod may be given. */
  readonly leastOomScoreAdjust: number;
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

/** Names of isolators that bound all apps of a pod together: those which the standard has for pods, too. */
export const POD_ISOLATORS: readonly string[] = ['resource/memory', 'resource/cpu'];

/** What becomes of a limit that the host cannot enforce: told, or refused by throwing. */
export type Unenforceable = (isolator: string, reason: string) => void;

/**
 * The directives of the resource isolators of an app, or of a pod, name and value. Of several of one kind the last
 * counts; without a limit nothing is set. What the host cannot do is left out when `unenforceable` returns.
 * @throws SystemdError `bad-limit`, and what `unenforceable` throws
 */
export function resourceDirectives(
  { isolators = [] }: Pick<App, 'isolators'>,
  { version, controllers, leastOomScoreAdjust }: CgroupAbilities,
  unenforceable: Unenforceable,
): [name: string, value: string][] {
  const last = (wanted: string): unknown => isolators.findLast(({ name }) => name === wanted)?.value;
  const limit = (wanted: string): string | undefined =>
    (last(wanted) as { limit?: string } | undefined)?.limit;
  const supported = (isolator: string, controller: string): boolean => {
    if (controllers.includes(controller)) return true;
    unenforceable(isolator, `no pod can use the ${controller} controller here`);
    return false;
  };
  const directives: [string, string][] = [];
  const memory = limit('resource/memory');
  if (memory !== undefined && supported('resource/memory', 'memory')) {
    directives.push(['MemoryMax', String(positive('memory', memory, quantityBytes(parseQuantity(memory))))]);
  }
  const cpu = limit('resource/cpu');
  if (cpu !== undefined && supported('resource/cpu', 'cpu')) {
    directives.push(['CPUQuota', `${cpuPercent(cpu)}%`]);
  }
  const shares = last('os/linux/cpu-shares');
  if (typeof shares === 'number' && supported('os/linux/cpu-shares', 'cpu')) {
    directives.push(cpuShares(shares, version));
  }
  const score = last('os/linux/oom-score-adj');
  if (typeof score === 'number') {
    if (score >= leastOomScoreAdjust) directives.push(['OOMScoreAdjust', String(score)]);
    else {
      const least = `rkt may not go below ${leastOomScoreAdjust} without CAP_SYS_RESOURCE`;
      unenforceable('os/linux/oom-score-adj', least);
    }
  }
  return directives;
}

/** Refuses, or with `allowed` warns of, what the host cannot enforce for `whom`: `app "a"` or `pod`. */
export function unenforceableFor(
  whom: string,
  allowed: boolean,
  warn: (line: string) => void,
): Unenforceable {
  return (isolator, reason) => {
    if (!allowed) {
      throw new SystemdError('unenforceable', `${whom}: cannot enforce ${isolator}: ${reason}`, {
        hint: 'add --insecure-options=limits to run it without',
      });
    }
    // The words of rkt 1.30 (contract 2.20).
    warn(`warning: ${isolator} isolator set but support disabled in the kernel, skipping`);
  };
}

// systemd would take another for no limit at all.
function positive(what: string, text: string, amount: bigint): bigint {
  if (amount > 0n) return amount;
  throw new SystemdError('bad-limit', `${what} limit must be more than nothing, not ${text}`);
}

// systemd takes whole percents of one core, at least one.
function cpuPercent(text: string): bigint {
  const milli = positive('cpu', text, quantityMilli(parseQuantity(text)));
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
