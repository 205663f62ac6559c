// Network configurations: stage1's own and those of people, which take the place of stage1's by name (contract stage1
// 5.3). Runs in the run entry point, on the host.

import { readdirSync, readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';

import { fieldOf, isObject, type JsonObject, listField, textField } from './any-case.ts';
import { during, NetworkError } from './errors.ts';
import type { NetworkSelection } from './net-list.ts';

/** One plugin of a network, in the order of its calls. */
export interface PluginConfig {
  readonly type: string;
  readonly config: JsonObject;
}

/** One network. */
export interface NetworkConfig {
  readonly name: string;
  /** Name of the file, which decides the order of interfaces. */
  readonly base: string;
  /** The file as it is. */
  readonly text: string;
  readonly cniVersion: string;
  readonly plugins: readonly PluginConfig[];
  /** A list of plugins (.conflist): what they get is put together; the only plugin of a .conf gets the file as it is. */
  readonly isList: boolean;
  /** A list may say that its plugins answer no CHECK. */
  readonly disableCheck: boolean;
}

/** Version of a configuration that names none (CNI specification, 0.1.0). */
const FIRST_VERSION = '0.1.0';

/** Directories of configurations. */
export interface ConfigDirectories {
  readonly builtIn: string;
  readonly user: string;
}

/**
 * The networks of `selection` in the order of their file names. All files are read, wanted or not.
 * @throws NetworkError `bad-network-config` naming the file, `network-not-found` naming all that are missing
 */
export function loadNetworks(
  { builtIn, user }: ConfigDirectories,
  selection: Extract<NetworkSelection, { kind: 'networks' }>,
  warn: (message: string) => void,
): NetworkConfig[] {
  const networks = new Map<string, NetworkConfig>();
  for (const directory of [builtIn, user]) {
    for (const [name, network] of loadDirectory(directory, warn)) {
      if (networks.has(name)) warn(`overriding ${quote(name)} network with one from ${directory}`);
      networks.set(name, network);
    }
  }
  const missing = [...selection.args.keys()].filter((name) => !networks.has(name));
  if (missing.length > 0) {
    throw new NetworkError('network-not-found', `networks not found: ${missing.join(', ')}`, {
      hint: `a network is a file NAME.conf or NAME.conflist in ${user}`,
    });
  }
  return [...networks.values()]
    .filter(({ name }) => selection.all || selection.args.has(name))
    .sort((a, b) => (a.base < b.base ? -1 : 1));
}

function loadDirectory(directory: string, warn: (message: string) => void): Map<string, NetworkConfig> {
  const networks = new Map<string, NetworkConfig>();
  for (const base of confFiles(directory)) {
    const file = `${directory}/${base}`;
    let network: NetworkConfig;
    try {
      network = parseNetwork(base, readFileSync(file, 'utf8'));
    } catch (cause) {
      throw during(`error loading ${file}`, cause);
    }
    if (networks.has(network.name)) warn(`${quote(network.name)} network already defined, ignoring ${base}`);
    else networks.set(network.name, network);
  }
  return networks;
}

function confFiles(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => (entry.isFile() || entry.isSymbolicLink()) && /\.conf(list)?$/.test(entry.name))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** The network in the text of file `base`. @throws NetworkError `bad-network-config` */
export function parseNetwork(base: string, text: string): NetworkConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NetworkError('bad-network-config', `not JSON: ${(cause as Error).message}`);
  }
  if (!isObject(value)) throw bad('not a JSON object');
  const name = textField(value, 'name');
  if (name === '') throw bad('no "name"');
  // Plugins keep state in a directory of that name.
  if (name.includes('/') || name === '.' || name === '..') throw bad(`${quote(name)} is not a network name`);
  const isList = base.endsWith('.conflist');
  const plugins = isList ? listField(value, 'plugins').map(parsePlugin) : [parsePlugin(value)];
  if (plugins.length === 0) throw bad('no "plugins"');
  const cniVersion = textField(value, 'cniVersion');
  return {
    name,
    base,
    text,
    cniVersion: cniVersion === '' ? FIRST_VERSION : cniVersion,
    plugins,
    isList,
    disableCheck: isTrue(fieldOf(value, 'disableCheck')),
  };
}

function parsePlugin(config: unknown): PluginConfig {
  const type = isObject(config) ? textField(config, 'type') : '';
  if (!isObject(config) || type === '') throw bad('no "type" of plugin');
  if (type.includes('/')) throw bad(`${quote(type)} is not the name of a plugin`);
  return { type, config };
}

const isTrue = (value: unknown): boolean => value === true || value === 'true';

function bad(message: string): NetworkError {
  return new NetworkError('bad-network-config', message);
}

/** Whether the network hides its pods behind the host's addresses. */
export function masquerades({ plugins }: NetworkConfig): boolean {
  return plugins.some(({ config }) => fieldOf(config, 'ipMasq') === true);
}

/** Whether a plugin of the network forwards ports itself. */
export function forwardsPorts({ isList, plugins }: NetworkConfig): boolean {
  return isList && plugins.some(wantsPortMappings);
}

/** Whether the plugin asks for the ports of the pod (CNI conventions, capability portMappings). */
export function wantsPortMappings({ config }: PluginConfig): boolean {
  const capabilities = fieldOf(config, 'capabilities');
  return isObject(capabilities) && fieldOf(capabilities, 'portMappings') === true;
}

/** Whether `version` is at least `least`; both X.Y.Z. */
export function versionAtLeast(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (let index = 0; index < 3; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
