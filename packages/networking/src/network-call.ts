// One network of a pod: what its plugins read, and the calls that join, check and leave it (contract stage1 5.4; CNI
// specification). Runs in the run and gc entry points, on the host.

import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { netConfCopy } from '@rkt/pod-layout/net-paths';
import { netDir, type PodDir } from '@rkt/pod-layout/pod-paths';

import { isObject, type JsonObject } from './any-case.ts';
import { type Attachment, type AttachedPlugin, writeAttachment } from './attachment.ts';
import { type NetworkConfig, type PluginConfig, versionAtLeast, wantsPortMappings } from './config.ts';
import { NetworkError } from './errors.ts';
import { flannelDelegate } from './flannel.ts';
import type { ForwardedPort } from './forwarded-port.ts';
import type { FilterName } from './packet-filter.ts';
import { callPlugin, findPlugin, type PluginContext } from './plugin.ts';

const CONF_MODE = 0o644;
/** Since this version plugins get the answer to ADD with DEL, and know CHECK. */
const CACHED_RESULTS = '0.4.0';

/** How one network is joined. */
export interface JoinOptions {
  readonly ifName: string;
  readonly args: string;
  readonly netns: string;
  readonly filter: FilterName;
  /** For plugins that forward ports themselves. */
  readonly ports: readonly ForwardedPort[];
}

/** Puts down what joining will owe, with a copy of the configuration. @throws NetworkError `plugin-not-found` */
export function recordNetwork(
  pod: PodDir,
  network: NetworkConfig,
  { ifName, args, filter, ports }: Omit<JoinOptions, 'netns'>,
  context: PluginContext,
): Attachment {
  const attachment: Attachment = {
    netName: network.name,
    ifName,
    args,
    cniVersion: network.cniVersion,
    filter,
    plugins: calledPlugins(network, ports, context.pluginPath),
    checkable: versionAtLeast(network.cniVersion, CACHED_RESULTS) && !network.disableCheck,
  };
  const copy = netConfCopy(pod, network.base);
  mkdirSync(netDir(pod), { recursive: true, mode: 0o755 });
  writeFileSync(`${copy}.new`, network.text, { mode: CONF_MODE });
  renameSync(`${copy}.new`, copy);
  writeAttachment(pod, network.base, attachment);
  return attachment;
}

function calledPlugins(
  network: NetworkConfig,
  ports: readonly ForwardedPort[],
  directories: readonly string[],
): AttachedPlugin[] {
  return network.plugins.map((plugin) => {
    const path = findPlugin(plugin.type, directories);
    if (path !== undefined) {
      const stdin = network.isList ? JSON.stringify(listedConfig(network, plugin, ports)) : network.text;
      return { type: plugin.type, path, stdin };
    }
    if (plugin.type === 'flannel' && !network.isList) {
      const delegate = flannelDelegate(network);
      const file = findPlugin(delegate.type, directories);
      if (file !== undefined)
        return { type: delegate.type, path: file, stdin: JSON.stringify(delegate.config) };
    }
    throw new NetworkError('plugin-not-found', `Could not find plugin ${quote(plugin.type)}`, {
      hint: `it is looked for in ${directories.slice(0, 2).join(', ')} and in stage1`,
    });
  });
}

// A plugin of a list gets what the list says of all, and of the runtime what it asks for.
function listedConfig(
  { name, cniVersion }: NetworkConfig,
  plugin: PluginConfig,
  ports: readonly ForwardedPort[],
): JsonObject {
  const own = Object.fromEntries(
    Object.entries(plugin.config).filter(([key]) => key.toLowerCase() !== 'capabilities'),
  );
  const portMappings = ports.map(({ protocol, hostIp, hostPort, podPort }) => ({
    hostPort,
    containerPort: podPort,
    protocol,
    ...(hostIp === undefined ? {} : { hostIP: hostIp }),
  }));
  return {
    ...own,
    cniVersion,
    name,
    ...(wantsPortMappings(plugin) && ports.length > 0 ? { runtimeConfig: { portMappings } } : {}),
  };
}

/** Joins a network that is on record; the record gets the result. @throws NetworkError `plugin-failed` */
export async function joinNetwork(
  pod: PodDir,
  base: string,
  attachment: Attachment,
  netns: string,
  context: PluginContext,
): Promise<Attachment & { readonly result: string }> {
  let result = '';
  for (const plugin of attachment.plugins) {
    const stdin = result === '' ? plugin.stdin : withPrevious(plugin.stdin, result);
    result = await callPlugin({ ...common(attachment, netns), ...plugin, stdin, command: 'ADD' }, context);
    // Some plugins can undo nothing without the result before theirs, and the next call may be the last thing we do.
    writeAttachment(pod, base, { ...attachment, result });
  }
  return { ...attachment, result };
}

/** Asks the plugins whether everything is as they made it. @throws NetworkError `plugin-failed` */
export async function checkNetwork(
  attachment: Attachment,
  netns: string,
  context: PluginContext,
): Promise<void> {
  for (const plugin of attachment.plugins) {
    const stdin = withPrevious(plugin.stdin, attachment.result ?? '{}');
    await callPlugin({ ...common(attachment, netns), ...plugin, stdin, command: 'CHECK' }, context);
  }
}

/**
 * Leaves a network, the last plugin first; all are called, whatever one says.
 * @param announce Told of each plugin before its call.
 * @throws NetworkError the first failure
 */
export async function leaveNetwork(
  attachment: Attachment,
  netns: string,
  context: PluginContext,
  announce: (type: string) => void = () => undefined,
): Promise<void> {
  const { result, cniVersion } = attachment;
  const cached = result !== undefined && versionAtLeast(cniVersion, CACHED_RESULTS);
  let failure: Error | undefined;
  for (const plugin of attachment.plugins.toReversed()) {
    announce(plugin.type);
    const stdin = cached ? withPrevious(plugin.stdin, result) : plugin.stdin;
    const path = foundAgain(plugin, context.pluginPath);
    try {
      await callPlugin({ ...common(attachment, netns), ...plugin, path, stdin, command: 'DEL' }, context);
    } catch (error) {
      failure ??= error as Error;
    }
  }
  if (failure !== undefined) throw failure;
}

// A plugin may have moved since, with a new version of its package.
function foundAgain({ path, type }: AttachedPlugin, directories: readonly string[]): string {
  return existsSync(path) ? path : (findPlugin(type, directories) ?? path);
}

function common(
  { ifName, args, cniVersion }: Attachment,
  netns: string,
): { ifName: string; args: string; cniVersion: string; netns: string } {
  return { ifName, args, cniVersion, netns };
}

function withPrevious(config: string, result: string): string {
  const previous: unknown = JSON.parse(result);
  return JSON.stringify({
    ...(JSON.parse(config) as JsonObject),
    prevResult: isObject(previous) ? previous : {},
  });
}
