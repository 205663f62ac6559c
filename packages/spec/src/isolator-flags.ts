// Isolators made from the per-app flags --memory, --cpu, --cpu-shares, --oom-score-adj, --caps-retain,
// --caps-remove and --seccomp (contract stage0 8.3, 11.6). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { decodeOrThrow } from './codec.ts';
import { refuse, SpecError } from './errors.ts';
import { parseWholeNumber } from './flag-parameters.ts';
import { Isolator } from './isolator.ts';
import {
  CAPABILITIES_REMOVE_SET,
  CAPABILITIES_RETAIN_SET,
  CPU_SHARES,
  OOM_SCORE_ADJ,
  SECCOMP_REMOVE_SET,
  SECCOMP_RETAIN_SET,
} from './isolator-linux.ts';
import { RESOURCE_CPU, RESOURCE_MEMORY, resourceIsolator } from './isolator-resource.ts';
import { parseQuantity, quantityBytes } from './quantity.ts';

/** Flags that become an isolator, without dashes. */
export type IsolatorFlag =
  'memory' | 'cpu' | 'cpu-shares' | 'oom-score-adj' | 'caps-retain' | 'caps-remove' | 'seccomp';

/** Less memory than this cannot hold a process (contract stage0 10.5). */
const LEAST_MEMORY_BYTES = 4096n;

const MAKERS: Readonly<Record<IsolatorFlag, (value: string) => Isolator>> = {
  memory: memoryIsolator,
  cpu: (value) => resourceIsolator(RESOURCE_CPU, parseQuantity(value)),
  'cpu-shares': (value) => ({ name: CPU_SHARES, value: parseWholeNumber('cpu-shares', value) }),
  'oom-score-adj': (value) => ({ name: OOM_SCORE_ADJ, value: parseWholeNumber('oom-score-adj', value) }),
  'caps-retain': (value) => ({ name: CAPABILITIES_RETAIN_SET, value: { set: namesIn(value) } }),
  'caps-remove': (value) => ({ name: CAPABILITIES_REMOVE_SET, value: { set: namesIn(value) } }),
  seccomp: seccompIsolator,
};

/** The isolator that `--flag=value` asks for. @throws SpecError `bad-flag` */
export function isolatorFromFlag(flag: IsolatorFlag, value: string): Isolator {
  try {
    return decodeOrThrow(Isolator, MAKERS[flag](value), '');
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    throw new SpecError('bad-flag', `invalid value in --${flag} flag ${quote(value)}: ${error.message}`);
  }
}

function memoryIsolator(value: string): Isolator {
  const quantity = parseQuantity(value);
  const bytes = quantityBytes(quantity);
  if (bytes < LEAST_MEMORY_BYTES) {
    refuse(`memory limit of ${bytes} bytes too low. Try a reasonable value, such as --memory=16M`);
  }
  return resourceIsolator(RESOURCE_MEMORY, quantity);
}

const SECCOMP_SETS: ReadonlyMap<string | undefined, string> = new Map([
  ['retain', SECCOMP_RETAIN_SET],
  ['remove', SECCOMP_REMOVE_SET],
]);

function seccompIsolator(value: string): Isolator {
  const settings = new Map<string, string>();
  const set: string[] = [];
  for (const part of namesIn(value)) {
    const [key = '', setting] = part.split('=');
    if (setting === undefined) set.push(part);
    else if (key === 'mode' || key === 'errno') settings.set(key, setting);
    else refuse('invalid seccomp command-line override');
  }
  const name = SECCOMP_SETS.get(settings.get('mode')) ?? refuse('invalid seccomp mode command-line override');
  return { name, value: { set, errno: settings.get('errno') ?? '' } };
}

function namesIn(value: string): string[] {
  return value.split(',').filter((name) => name !== '');
}
