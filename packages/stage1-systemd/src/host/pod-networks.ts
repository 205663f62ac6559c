// Joins a pod to the networks of its --net list by CNI plugins. Runs in the run entry point, on the host.

import type { Logger } from '@rkt/diagnostics/logger';
import type { Kernel } from '@rkt/linux/kernel';
import type { NetworkSelection } from '@rkt/networking/net-list';
import type { PodNetworks } from '@rkt/networking/setup';
import type { RunArguments } from '@rkt/pod-layout/entrypoints';
import { DEFAULT_LOCAL_CONFIG } from '@rkt/pod-layout/net-paths';
import { onHost, RESOLV_CONF } from '@rkt/pod-layout/stage1-paths';
import type { BoundAddress } from '@rkt/stage1-base/bound-addresses';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { writeNew } from '@rkt/stage1-base/write-new';

const FILE_MODE = 0o644;

/** What the networks depend on beside the pod. */
export interface JoinContext {
  readonly selection: Extract<NetworkSelection, { kind: 'networks' }>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Speaks as `networking`. */
  readonly logger: Logger;
  /** Sockets that rkt was started with, and that reach the pod. */
  readonly sockets?: readonly BoundAddress[];
}

/** The pod's place in its networks. */
export interface JoinedPod {
  /** Open on the pod's namespace. */
  readonly namespaceFd: number;
  readonly networks: PodNetworks['networks'];
  /** First address in each, for the hosts file. */
  readonly addresses: readonly string[];
  /** The host as the pod's apps see it; undefined where there is no way to it. */
  readonly hostAddress: string | undefined;
}

/**
 * Joins all networks, forwards ports, and writes the resolv.conf that a network brought. This thread stays in the host's
 * namespace. @throws RktError naming the network
 */
export async function joinNetworks(
  kernel: Kernel,
  { dir, stage1, manifest, apps }: LoadedPod,
  { uuid, debug, localConfig = DEFAULT_LOCAL_CONFIG, resolvMode }: RunArguments,
  { sockets = [], ...context }: JoinContext,
): Promise<JoinedPod> {
  const { setUpNetworks } = await import('@rkt/networking/setup');
  const { forwardedPorts } = await import('@rkt/networking/forwarded-port');
  const { mapPorts } = await import('@rkt/spec/port-mapping');
  const ports = forwardedPorts(
    mapPorts(
      manifest.ports ?? [],
      apps.map(({ app }) => app.ports),
    ).filter(({ exposed, port }) => {
      // The host's socket answers already: a rule would lead its connections to a port of the pod where nobody listens.
      const answered = sockets.some(
        (each) => each.protocol === port.protocol && each.port === exposed.hostPort,
      );
      return !(port.socketActivated && answered);
    }),
  );
  const { namespace, networks, resolvConf, forwardable } = await setUpNetworks({
    kernel,
    pod: dir,
    uuid,
    localConfig,
    ports,
    debug,
    ...context,
  });
  if (resolvConf !== undefined && resolvMode === 'default') {
    writeNew(onHost(stage1, RESOLV_CONF), resolvConf, FILE_MODE);
  }
  return {
    namespaceFd: namespace.fd,
    networks,
    addresses: networks.flatMap(({ addresses }) => addresses.slice(0, 1).map(({ ip }) => ip)),
    hostAddress: forwardable?.addresses.find(({ gateway }) => gateway !== undefined)?.gateway,
  };
}
