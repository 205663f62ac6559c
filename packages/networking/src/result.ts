// What a CNI plugin answers to ADD, in the layouts of all versions: `ip4` and `ip6` up to 0.2.0, a list `ips` since
// 0.3.0 (CNI specification; contract stage1 5.4). Pure.

import { quote } from '@rkt/diagnostics/quote';
import type { ResolvConf } from '@rkt/pod-layout/resolv-conf';
import { isIpAddress } from '@rkt/spec/ip-address';

import {
  fieldOf,
  isObject,
  type JsonObject,
  listField,
  objectField,
  textField,
  textsField,
} from './any-case.ts';
import { NetworkError } from './errors.ts';

/** An address that the pod got. */
export interface PodAddress {
  readonly family: 4 | 6;
  readonly ip: string;
  /** Length of the network's prefix in bits. */
  readonly prefix: number;
  readonly gateway?: string;
}

/** A plugin's answer. */
export interface PluginResult {
  readonly addresses: readonly PodAddress[];
  /** Absent when the answer has no such data. */
  readonly dns?: ResolvConf;
}

/** Reads the text a plugin wrote. @throws NetworkError `bad-plugin-result` */
export function parseResult(text: string): PluginResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new NetworkError('bad-plugin-result', `the answer is not JSON: ${quote(text.slice(0, 200))}`);
  }
  if (!isObject(value)) throw new NetworkError('bad-plugin-result', 'the answer is not a JSON object');
  const dns = dnsOf(objectField(value, 'dns') ?? {});
  return {
    addresses: [...oldAddresses(value), ...newAddresses(value)],
    ...(dns === undefined ? {} : { dns }),
  };
}

function oldAddresses(result: JsonObject): PodAddress[] {
  return ['ip4', 'ip6'].flatMap((key) => {
    const config = objectField(result, key);
    return config === undefined ? [] : [address(textField(config, 'ip'), textField(config, 'gateway'))];
  });
}

function newAddresses(result: JsonObject): PodAddress[] {
  const interfaces = listField(result, 'interfaces');
  return listField(result, 'ips')
    .filter(isObject)
    .filter((entry) => {
      // An interface without a sandbox is the host's side.
      const at = fieldOf(entry, 'interface');
      const device = typeof at === 'number' ? interfaces[at] : undefined;
      return !isObject(device) || textField(device, 'sandbox') !== '';
    })
    .map((entry) => address(textField(entry, 'address'), textField(entry, 'gateway')));
}

function address(cidr: string, gateway: string): PodAddress {
  const [ip = '', length = '', ...rest] = cidr.split('/');
  const family = ip.includes(':') ? 6 : 4;
  const prefix = Number(length);
  const valid = isIpAddress(ip) && /^\d{1,3}$/.test(length) && prefix <= (family === 4 ? 32 : 128);
  if (!valid || rest.length > 0) {
    throw new NetworkError('bad-plugin-result', `${quote(cidr)} is not an address with a prefix length`);
  }
  // Rules are made of it.
  if (gateway !== '' && !isIpAddress(gateway)) {
    throw new NetworkError('bad-plugin-result', `${quote(gateway)} is not the address of a gateway`);
  }
  return { family, ip, prefix, ...(gateway === '' ? {} : { gateway }) };
}

function dnsOf(dns: JsonObject): ResolvConf | undefined {
  const found = {
    nameservers: textsField(dns, 'nameservers'),
    search: textsField(dns, 'search'),
    options: textsField(dns, 'options'),
    domain: textField(dns, 'domain'),
  };
  const words = Object.values(found).flat();
  // A line break would start a line that nobody asked for.
  if (words.some((word) => /[\r\n]/.test(word))) {
    throw new NetworkError('bad-plugin-result', 'the name servers hold a line break');
  }
  return words.every((word) => word === '') ? undefined : found;
}

/** The netmask of a prefix of IPv4, as a dotted quad. */
export function dottedMask(prefix: number): string {
  const bits = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.');
}
