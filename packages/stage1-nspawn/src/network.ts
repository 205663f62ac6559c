// The pod's network namespace (contract 5.1, 5.4). For now `none` and `host`; other networks come with CNI. Runs in the
// run entry point, before anything that shows the namespace (/sys) is mounted.

import { CLONE_NEWNET } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { printNetInfo } from '@rkt/pod-layout/net-info';
import { netInfoFile } from '@rkt/pod-layout/pod-paths';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { wrap } from '@rkt/diagnostics/rkt-error';
import { writeNew } from '@rkt/stage1-base/write-new';

import { NspawnError } from './errors.ts';

const NET_INFO_MODE = 0o644;

/** Which namespace the pod gets. `none` together with others is `none`; `host` with anything but `none` is `host`. */
export function networkMode(networks: readonly string[]): 'host' | 'none' {
  const names = networks.map((entry) => entry.split(':', 1)[0] ?? '');
  if (names.includes('none')) return 'none';
  if (names.includes('host')) return 'host';
  throw wrap(
    'failed to setup network',
    new NspawnError('network', `networks not supported yet: ${names.join(', ')}`, {
      hint: 'use --net=none or --net=host',
    }),
  );
}

/**
 * Moves this process into a network namespace of the pod's own, with nothing but a loopback device in it. The namespace has no name and no mount: it ends with its last process.
 */
export function enterOwnNetwork(kernel: Kernel, pod: PodDir): void {
  kernel.unshare(CLONE_NEWNET);
  writeNew(netInfoFile(pod), printNetInfo([]), NET_INFO_MODE);
}
