// Takes a dead pod out of its networks. Runs in the gc entry point, on the host.

import { existsSync } from 'node:fs';

import { createLogger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import type { GcArguments } from '@rkt/pod-layout/entrypoints';
import { DEFAULT_LOCAL_CONFIG } from '@rkt/pod-layout/net-paths';
import { netnsFile, type PodDir } from '@rkt/pod-layout/pod-paths';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';

/** Removes what the pod's networks left, if it had any. @throws RktError when something does not go away */
export async function leaveNetworks(
  pod: PodDir,
  { uuid, debug, localConfig = DEFAULT_LOCAL_CONFIG }: GcArguments,
  env: EntryPointCall['env'],
): Promise<void> {
  // Most pods that end have no network of plugins, and the code for it is not small.
  if (!existsSync(netnsFile(pod))) return;
  const { teardownNetworks } = await import('@rkt/networking/teardown');
  const logger = createLogger({ prefix: 'networking', debug });
  await teardownNetworks({ kernel: openKernel(), pod, uuid, localConfig, env, logger });
}
