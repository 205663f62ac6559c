// The pod's network (contract 5): the host's, one of its own with a loopback device and nothing else, or what CNI plugins
// make. Runs in the run entry point, before anything that shows the namespace (/sys) is mounted.

import { createLogger } from '@rkt/diagnostics/logger';
import { CLONE_NEWNET } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { parseNetworkList } from '@rkt/networking/net-list';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { METADATA_LOOPBACK } from '@rkt/pod-layout/metadata-service';
import { printNetInfo } from '@rkt/pod-layout/net-info';
import { netInfoFile } from '@rkt/pod-layout/pod-paths';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { writeNew } from '@rkt/stage1-base/write-new';
import { type JoinContext, type JoinedPod, joinNetworks } from '@rkt/stage1-systemd/host/pod-networks';

const FILE_MODE = 0o644;

/** The network of a pod that is being started. */
export interface PodNetwork {
  /** Whether the pod has a namespace of its own. */
  readonly own: boolean;
  /** First addresses that the pod has on the host's side, for its hosts file. */
  readonly addresses: readonly string[];
  /** The host as the pod's apps see it; undefined where there is no way to it. */
  readonly hostAddress?: string | undefined;
  /** Moves this thread into the pod's namespace, where it stays. */
  enter(): void;
}

/**
 * Sets the network up; this thread stays in the host's. With networks, plugins run until the promise settles.
 * @throws RktError naming the network
 */
export async function setUpNetwork(
  kernel: Kernel,
  pod: LoadedPod,
  options: RunArguments,
  { env, sockets }: Required<Pick<JoinContext, 'env' | 'sockets'>>,
): Promise<PodNetwork> {
  const logger = createLogger({ prefix: 'networking', debug: options.debug });
  const selection = parseNetworkList(options.net);
  switch (selection.kind) {
    case 'host':
      return { own: false, addresses: [], hostAddress: METADATA_LOOPBACK, enter: () => undefined };
    case 'none':
      logger.info('networking namespace with loopback only');
      writeNew(netInfoFile(pod.dir), printNetInfo([]), FILE_MODE);
      // Without a name and without a mount: it ends with its last process.
      return { own: true, addresses: [], enter: () => kernel.unshare(CLONE_NEWNET) };
    case 'networks':
      return joined(kernel, await joinNetworks(kernel, pod, options, { selection, env, logger, sockets }));
  }
}

function joined(kernel: Kernel, { namespaceFd, addresses, hostAddress }: JoinedPod): PodNetwork {
  return { own: true, addresses, hostAddress, enter: () => kernel.setns(namespaceFd, CLONE_NEWNET) };
}
