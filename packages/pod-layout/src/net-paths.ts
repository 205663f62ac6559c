// Names of the network side of a pod: configurations, plugins, namespaces, and what gc reads (contract stage1 1.7, 5).
// Pure.

import { netDir, type PodDir, STAGE1_ROOTFS_HERE } from './pod-paths.ts';

/** Where names of network namespaces live, for rkt and for ip-netns(8) alike. */
export const NETNS_DIR = '/var/run/netns';
/** Directory of network configurations, and of people's own plugins, below the local configuration directory. */
export const NET_CONF_SUBDIR = 'net.d';
/** Where the host, and stage1 in its root, keep CNI plugins. */
export const PLUGIN_DIR = '/usr/lib/rkt/plugins/net';
/** {@link PLUGIN_DIR} of the pod's stage1, relative to the pod directory, as CNI_PATH and net-info.json name it. */
export const STAGE1_PLUGIN_DIR: string = `${STAGE1_ROOTFS_HERE}${PLUGIN_DIR}`;
/** Programs that plugins call, one directory per packet filter of the kernel, inside stage1. */
export const FILTER_TOOLS_DIR = '/usr/lib/rkt/plugins';
/** Local configuration directory when stage0 names none. */
export const DEFAULT_LOCAL_CONFIG = '/etc/rkt';
/** Host-wide state of port forwarding; forgotten at reboot, as the kernel's is. */
export const FORWARD_STATE_DIR = '/run/rkt/port-forward';

/** Copy of a network's configuration, relative to the pod directory; it is there until the network is torn down. */
export const netConfIn = (base: string): string => `net/${base}`;
export const netConfCopy = (pod: PodDir, base: string): string => `${netDir(pod)}/${base}`;

const ATTACHMENT_SUFFIX = '.attachment';

/** What is to be undone for a network, written before it is done. */
export const netAttachmentFile = (pod: PodDir, base: string): string =>
  `${netDir(pod)}/${base}${ATTACHMENT_SUFFIX}`;
/** What is to be undone for forwarded ports. */
export const portForwardFile = (pod: PodDir): string => `${netDir(pod)}/forwarded-ports`;

/** The configurations whose attachments are among these names of {@link netDir}, in the order of their set-up. */
export function attachedConfs(names: readonly string[]): string[] {
  return names
    .filter((name) => name.endsWith(ATTACHMENT_SUFFIX))
    .map((name) => name.slice(0, -ATTACHMENT_SUFFIX.length))
    .sort();
}
