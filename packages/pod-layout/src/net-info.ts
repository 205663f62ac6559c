// P/net-info.json: the networks of a pod, written by stage1, shown by list and status (contract stage1 5.7). Pure.

import { PodLayoutError } from './errors.ts';

/** One network a pod is on. */
export interface NetInfo {
  readonly netName: string;
  /** Path of the configuration below the pod directory. */
  readonly netConf: string;
  readonly pluginPath: string;
  readonly ifName: string;
  readonly ip: string;
  readonly args: string;
  readonly mask: string;
  /** First IPv6 address; absent when there is none. Ours. */
  readonly ip6?: string;
}

const FIELDS = ['netName', 'netConf', 'pluginPath', 'ifName', 'ip', 'args', 'mask'] as const;

export const printNetInfo = (networks: readonly NetInfo[]): string => `${JSON.stringify(networks)}\n`;

/** @throws PodLayoutError `bad-file` when the text is no list of networks. */
export function parseNetInfo(text: string): NetInfo[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PodLayoutError('bad-file', 'net-info.json is not JSON', { cause });
  }
  if (!Array.isArray(value)) throw new PodLayoutError('bad-file', 'net-info.json is not a list');
  return value.map((entry) => {
    const record = (entry ?? {}) as Record<string, unknown>;
    const field = (name: string): string => (typeof record[name] === 'string' ? record[name] : '');
    const info = Object.fromEntries(FIELDS.map((name) => [name, field(name)])) as unknown as NetInfo;
    return field('ip6') === '' ? info : { ...info, ip6: field('ip6') };
  });
}

/** `NAME:ip4=IP, ...` as list and status print it (contract stage0 8.14), and `NAME:ip6=IP` where there is one. */
export function describeNetworks(networks: readonly NetInfo[]): string {
  return networks
    .flatMap(({ netName, ip, ip6 }) => [
      ...(ip === '' && ip6 !== undefined ? [] : [`${netName}:ip4=${ip}`]),
      ...(ip6 === undefined ? [] : [`${netName}:ip6=${ip6}`]),
    ])
    .join(', ');
}
