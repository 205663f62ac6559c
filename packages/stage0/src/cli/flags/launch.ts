// Flags that say how a pod is started: network, names, terminal (contract stage0 8.3, stage1 5.1). Pure.

import { quote } from '@rkt/diagnostics/quote';

import { badValue } from '../errors.ts';
import type { Flag, FlagValues } from '../flag.ts';
import { booleanFlag, commaListFlag, listFlag, textFlag } from '../flag-types.ts';
import type { LaunchFlags } from '../requests.ts';

/** Networks that exist without configuration, and take no arguments. */
const SPECIAL_NETWORKS: ReadonlySet<string> = new Set(['all', 'host']);

/** Adds the networks of one --net to those before. */
export function addNetworks(previous: readonly string[], text: string): readonly string[] {
  const networks = [...previous];
  for (const item of text.split(',')) {
    const [name = '', ...args] = item.split(':');
    if (name === '') throw badValue('netname must not be empty');
    if (args.length > 1) {
      throw badValue(`network ${quote(name)} provided with invalid arguments: [${args.join(' ')}]`);
    }
    if (args.length > 0 && SPECIAL_NETWORKS.has(name)) {
      throw badValue(`arguments are not supported by special netname ${quote(name)}`);
    }
    if (networks.some((network) => network.split(':', 1)[0] === name)) {
      throw badValue(`found duplicate netname ${quote(name)}`);
    }
    networks.push(item);
  }
  return networks;
}

const net: Flag<readonly string[]> = {
  type: 'string',
  array: true,
  describe: 'Networks to join, as NAME or NAME:KEY=VALUE;..., separated by commas; or none, host, all',
  placeholder: 'LIST',
  bare: 'default',
  initial: [],
  defaultDescription: 'default',
  complete: ['default', 'none', 'host', 'all'],
  set: addNetworks,
};

type LaunchTable = {
  readonly net: typeof net;
  readonly interactive: Flag<boolean>;
  readonly hostname: Flag<string>;
  readonly dns: Flag<readonly string[]>;
  readonly 'dns-search': Flag<readonly string[]>;
  readonly 'dns-opt': Flag<readonly string[]>;
  readonly 'dns-domain': Flag<string>;
  readonly 'hosts-entry': Flag<readonly string[]>;
  readonly ipc: Flag<string>;
  readonly 'mds-register': Flag<boolean>;
};

/** Flags of run and run-prepared. */
export const LAUNCH_FLAGS: LaunchTable = {
  net,
  interactive: booleanFlag('Connect the terminal to the only app of the pod'),
  hostname: textFlag('Host name inside the pod', 'NAME', '', { defaultDescription: 'rkt-UUID' }),
  dns: commaListFlag('Name servers of the pod: addresses; or host, or none', 'LIST', {
    complete: ['host', 'none', 'cni'],
  }),
  'dns-search': listFlag('Domain to search for short names', 'DOMAIN'),
  'dns-opt': listFlag('Option for resolv.conf', 'OPTION'),
  'dns-domain': textFlag('Domain of the pod in resolv.conf', 'DOMAIN', ''),
  'hosts-entry': listFlag('Line for /etc/hosts, IP=NAME[,IP=NAME]; or host', 'ENTRY', { complete: ['host'] }),
  ipc: textFlag('IPC namespace: private, parent (that of the host) or auto', 'MODE', '', {
    complete: ['auto', 'private', 'parent'],
  }),
  'mds-register': booleanFlag('Register the pod with the metadata service'),
};

/** The request made of the values of {@link LAUNCH_FLAGS}. */
export function buildLaunchFlags(values: FlagValues<LaunchTable>): LaunchFlags {
  return {
    net: values.net,
    interactive: values.interactive,
    dns: values.dns,
    dnsSearch: values['dns-search'],
    dnsOpt: values['dns-opt'],
    dnsDomain: values['dns-domain'],
    hostsEntry: values['hosts-entry'],
    hostname: values.hostname,
    ipc: values.ipc,
    mdsRegister: values['mds-register'],
  };
}
