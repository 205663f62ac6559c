// Joins a pod to its networks: namespace, plugins, forwarded ports, and what list and status show (contract stage1 5.4).
// Runs in the run entry point, on the host. Whatever is made is on record first, so that gc can undo a set-up that was
// killed at any point.

import { mkdirSync, writeFileSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { lockDirectory } from '@rkt/linux/file-lock';
import type { Kernel } from '@rkt/linux/kernel';
import { type NetInfo, printNetInfo } from '@rkt/pod-layout/net-info';
import { NET_CONF_SUBDIR, netConfIn } from '@rkt/pod-layout/net-paths';
import { netDir, netInfoFile, type PodDir, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { printResolvConf } from '@rkt/pod-layout/resolv-conf';
import { NET_CONF_DIR, onHost } from '@rkt/pod-layout/stage1-paths';

import type { Attachment } from './attachment.ts';
import { forwardsPorts, loadNetworks, masquerades, type NetworkConfig } from './config.ts';
import { during } from './errors.ts';
import type { ForwardedPort } from './forwarded-port.ts';
import type { NetworkSelection } from './net-list.ts';
import { createNamespace, type NetworkNamespace } from './netns.ts';
import { checkNetwork, joinNetwork, recordNetwork } from './network-call.ts';
import { filterInUse, filterTools, type FilterTools } from './packet-filter.ts';
import { forwardPorts } from './port-forward.ts';
import { type PluginContext, pluginPath } from './plugin.ts';
import { dottedMask, parseResult, type PodAddress } from './result.ts';
import { teardownNetworks } from './teardown.ts';

/** What the pod wants. */
export interface SetupRequest {
  readonly kernel: Kernel;
  readonly pod: PodDir;
  readonly uuid: string;
  readonly localConfig: string;
  readonly selection: Extract<NetworkSelection, { kind: 'networks' }>;
  readonly ports: readonly ForwardedPort[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Speaks as `networking`. */
  readonly logger: Logger;
  readonly debug: boolean;
}

/** A network that the pod has joined. */
export interface JoinedNetwork {
  readonly name: string;
  readonly ifName: string;
  readonly addresses: readonly PodAddress[];
}

/** What came of it. */
export interface PodNetworks {
  readonly namespace: NetworkNamespace;
  readonly networks: readonly JoinedNetwork[];
  /** Text of resolv.conf by the first network that knows name servers. */
  readonly resolvConf?: string;
  /** The network by which the host is reached: ports are forwarded to it, and metadata is served on its gateway. */
  readonly forwardable?: JoinedNetwork;
}

const NET_INFO_MODE = 0o644;

/**
 * Joins all networks, in the order of their configuration files. If one fails, those before it are left again.
 * @throws RktError naming the network and the plugin's message
 */
export async function setUpNetworks(request: SetupRequest): Promise<PodNetworks> {
  const { kernel, pod, uuid, localConfig, selection, env, logger } = request;
  const directories = {
    builtIn: onHost(stage1Rootfs(pod), NET_CONF_DIR),
    user: `${localConfig}/${NET_CONF_SUBDIR}`,
  };
  const configs = loadNetworks(directories, selection, (message) => logger.info(message));
  mkdirSync(netDir(pod), { recursive: true, mode: 0o755 });
  // Plugins hold it too: gc waits until the last one has ended, even if we are killed.
  using lock = lockDirectory(netDir(pod), { exclusive: true, wait: true });
  kernel.setCloseOnExecFrom(FIRST_FD);
  const namespace = createNamespace(kernel, pod);
  const tools = filterTools(filterInUse(), pod, env);
  const context: PluginContext = {
    uuid,
    env: tools.env,
    pluginPath: pluginPath(localConfig),
    lockFd: lock.fd,
  };
  try {
    return await joinAll(request, configs, namespace, tools, context);
  } catch (error) {
    await teardownNetworks({ ...request, lockFd: lock.fd });
    throw error;
  }
}

const FIRST_FD = 3;

async function joinAll(
  request: SetupRequest,
  configs: readonly NetworkConfig[],
  namespace: NetworkNamespace,
  tools: FilterTools,
  context: PluginContext,
): Promise<PodNetworks> {
  const { pod, uuid, selection, ports, logger, debug } = request;
  const forwarding = configs.find(masquerades) ?? configs.at(-1);
  const joined: {
    readonly network: JoinedNetwork;
    readonly info: NetInfo;
    readonly attachment: Attachment;
  }[] = [];
  let resolvConf: string | undefined;
  for (const [index, config] of configs.entries()) {
    const options = {
      ifName: `eth${index}`,
      args: selection.args.get(config.name) ?? '',
      filter: tools.name,
      ports: config === forwarding ? ports : [],
    };
    try {
      const record = recordNetwork(pod, config, options, context);
      const attachment = await joinNetwork(pod, config.base, record, namespace.path, context);
      const { addresses, dns } = parseResult(attachment.result);
      const network: JoinedNetwork = { name: config.name, ifName: options.ifName, addresses };
      joined.push({ network, attachment, info: netInfo(config, attachment, addresses) });
      if (dns !== undefined && resolvConf === undefined) {
        resolvConf = printResolvConf(`rkt from network ${config.name}`, dns);
      } else if (dns !== undefined) {
        logger.info(
          `Warning: network ${config.name} plugin specified DNS configuration, but DNS already supplied`,
        );
      }
    } catch (cause) {
      throw during(`error adding network ${quote(config.name)}`, cause);
    }
  }
  const forwardable = joined.find((_, index) => configs[index] === forwarding)?.network;
  if (
    ports.length > 0 &&
    forwarding !== undefined &&
    forwardable !== undefined &&
    !forwardsPorts(forwarding)
  ) {
    await forwardPorts(pod, uuid, ports, forwardable.addresses, tools);
  }
  if (debug) await checkAll(joined, namespace, context, logger);
  writeFileSync(netInfoFile(pod), printNetInfo(joined.map(({ info }) => info)), { mode: NET_INFO_MODE });
  return {
    namespace,
    networks: joined.map(({ network }) => network),
    ...(resolvConf === undefined ? {} : { resolvConf }),
    ...(forwardable === undefined ? {} : { forwardable }),
  };
}

// Costs a process per plugin, and finds what a later network has broken of an earlier one.
async function checkAll(
  joined: readonly { readonly attachment: Attachment }[],
  { path }: NetworkNamespace,
  context: PluginContext,
  logger: Logger,
): Promise<void> {
  for (const { attachment } of joined.filter(({ attachment: { checkable } }) => checkable)) {
    try {
      await checkNetwork(attachment, path, context);
      logger.debug(`network ${quote(attachment.netName)} is as its plugins made it`);
    } catch (error) {
      logger.error(`network ${quote(attachment.netName)} is not as its plugins made it`, error);
    }
  }
}

function netInfo(
  { name, base }: NetworkConfig,
  { plugins, ifName, args }: Attachment,
  addresses: readonly PodAddress[],
): NetInfo {
  const ipv4 = addresses.find(({ family }) => family === 4);
  const ipv6 = addresses.find(({ family }) => family === 6);
  return {
    netName: name,
    netConf: netConfIn(base),
    pluginPath: plugins[0]?.path ?? '',
    ifName,
    ip: ipv4?.ip ?? '',
    args,
    mask: ipv4 === undefined ? '' : dottedMask(ipv4.prefix),
    ...(ipv6 === undefined ? {} : { ip6: ipv6.ip }),
  };
}
