// The pod's network (contract 5): the host's, one of its own with a loopback device and nothing else, or what CNI plugins
// make. Runs in the run entry point, before anything that shows the namespace (/sys) is mounted.

import { createLogger } from '@rkt/diagnostics/logger';
import { CLONE_NEWNET } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { type NetworkSelection, parseNetworkList } from '@rkt/networking/net-list';
import type { PodNetworks } from '@rkt/networking/setup';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { METADATA_LOOPBACK } from '@rkt/pod-layout/metadata-service';
import { printNetInfo } from '@rkt/pod-layout/net-info';
import { DEFAULT_LOCAL_CONFIG } from '@rkt/pod-layout/net-paths';
import { netInfoFile } from '@rkt/pod-layout/pod-paths';
import { RESOLV_CONF, onHost } from '@rkt/pod-layout/stage1-paths';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { writeNew } from '@rkt/stage1-base/write-new';

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
  env: Readonly<Record<string, string | undefined>>,
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
      return joinedNetwork(
        kernel,
        pod,
        await join(kernel, pod, options, { selection, env, logger }),
        options,
      );
  }
}

async function join(
  kernel: Kernel,
  { dir, manifest, apps }: LoadedPod,
  { uuid, debug, localConfig = DEFAULT_LOCAL_CONFIG }: RunArguments,
  context: {
    readonly selection: Extract<NetworkSelection, { kind: 'networks' }>;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly logger: ReturnType<typeof createLogger>;
  },
): Promise<PodNetworks> {
  const { setUpNetworks } = await import('@rkt/networking/setup');
  const { forwardedPorts } = await import('@rkt/networking/forwarded-port');
  const { mapPorts } = await import('@rkt/spec/port-mapping');
  const ports = forwardedPorts(
    mapPorts(
      manifest.ports ?? [],
      apps.map(({ app }) => app.ports),
    ),
  );
  return setUpNetworks({ kernel, pod: dir, uuid, localConfig, ports, debug, ...context });
}

function joinedNetwork(
  kernel: Kernel,
  { stage1 }: LoadedPod,
  { namespace, networks, resolvConf, forwardable }: PodNetworks,
  { resolvMode }: RunArguments,
): PodNetwork {
  if (resolvConf !== undefined && resolvMode === 'default') {
    writeNew(onHost(stage1, RESOLV_CONF), resolvConf, FILE_MODE);
  }
  return {
    own: true,
    addresses: networks.flatMap(({ addresses }) => addresses.slice(0, 1).map(({ ip }) => ip)),
    hostAddress: forwardable?.addresses.find(({ gateway }) => gateway !== undefined)?.gateway,
    enter: () => kernel.setns(namespace.fd, CLONE_NEWNET),
  };
}
