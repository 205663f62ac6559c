// The value of --net: which networks a pod joins, and with which arguments (contract stage1 5.1). Pure.

import { quote } from '@rkt/diagnostics/quote';

import { NetworkError } from './errors.ts';

/** What --net asks for. */
export type NetworkSelection =
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'networks';
      /** Every network there is a configuration for. */
      readonly all: boolean;
      /** CNI_ARGS by network name, empty for most. */
      readonly args: ReadonlyMap<string, string>;
    };

const SPECIAL: ReadonlySet<string> = new Set(['all', 'host']);

/**
 * The selection in `entries`, each `NAME` or `NAME:ARGS`. `none` beside others is none, `host` beside others is host.
 * @throws NetworkError `bad-network-list`
 */
export function parseNetworkList(entries: readonly string[]): NetworkSelection {
  const args = new Map<string, string>();
  for (const entry of entries) {
    const [name = '', ...rest] = entry.split(':');
    if (name === '') throw bad('netname must not be empty');
    if (rest.length > 1)
      throw bad(`network ${quote(name)} provided with invalid arguments: [${rest.join(' ')}]`);
    if (rest.length > 0 && SPECIAL.has(name)) {
      throw bad(`arguments are not supported by special netname ${quote(name)}`);
    }
    if (args.has(name)) throw bad(`found duplicate netname ${quote(name)}`);
    args.set(name, rest[0] ?? '');
  }
  if (args.has('none')) return { kind: 'none' };
  if (args.has('host')) return { kind: 'host' };
  const all = args.delete('all');
  return { kind: 'networks', all, args };
}

function bad(message: string): NetworkError {
  return new NetworkError('bad-network-list', message);
}
