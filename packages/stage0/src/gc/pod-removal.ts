// Deletes a pod for good: its stage1 cleans up, then mounts and files go (contract stage0 8.17, stage1 1.15).
// Runs in stage0.

import { existsSync } from 'node:fs';

import type { Logger } from '@rkt/diagnostics/logger';
import { openKernel } from '@rkt/linux/libc';
import { mountsBelow, readMountInfo } from '@rkt/linux/mount-info';
import { interfaceVersion, printGcArguments } from '@rkt/pod-layout/entrypoints';
import type { PodDir } from '@rkt/pod-layout/pod-paths';
import { mdsRegisteredMark, stage1Rootfs, stage1StatusRoot } from '@rkt/pod-layout/pod-paths';

import type { GlobalFlags } from '../cli/requests.ts';
import { mountStage1Root } from '../launch/pod-mounts.ts';
import { callEntryPoint } from '../pod/entry-point.ts';
import type { LockedPod } from '../pod/pod.ts';
import { stage1TreeId, usesOverlay } from '../pod/record.ts';
import { readStage1Annotations } from '../pod/summary.ts';
import { killLeftovers } from './leftovers.ts';
import { removeTree } from './remove-tree.ts';
import { unmountBelow } from './unmount.ts';

/** Who deletes, and on whose behalf. */
export interface RemovalContext {
  readonly global: GlobalFlags;
  readonly env: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

/**
 * Deletes a pod that is locked and in `exited-garbage` or `garbage`. If it fails, the pod manifest is still there and
 * a later gc tries again.
 */
export async function removePod(pod: LockedPod, context: RemovalContext): Promise<void> {
  const kernel = openKernel();
  const { logger } = context;
  if (existsSync(mdsRegisteredMark(pod.dir))) await unregister(pod, logger);
  if (pod.directory === 'exited-garbage') {
    try {
      await collectStage1(pod, context);
    } catch (error) {
      logger.error(`problem performing stage1 gc on ${pod.uuid}`, error);
    }
  }
  killLeftovers(pod.dir);
  unmountBelow(kernel, pod.dir, logger);
  removeTree(kernel, statusTree(pod.dir));
  removeTree(kernel, pod.dir);
}

async function unregister(pod: LockedPod, logger: Logger): Promise<void> {
  const { unregisterPod } = await import('../metadata-service/register-pod.ts');
  try {
    await unregisterPod(pod);
  } catch (error) {
    logger.error('warning: could not unregister pod with metadata service', error);
  }
}

// Stage1's own share: processes, cgroups, networks.
async function collectStage1(pod: LockedPod, { global, env }: RemovalContext): Promise<void> {
  const annotations = readStage1Annotations(pod.dir);
  if (usesOverlay(pod.dir) && !isMounted(stage1Rootfs(pod.dir))) {
    // Unmounted since, as after a reboot; unmountBelow takes it down again.
    mountStage1Root(pod.dir, { kernel: openKernel(), data: pod.data, groupId: -1 });
  }
  const { debug, localConfig } = global;
  await callEntryPoint(pod.dir, annotations, {
    name: 'gc',
    argv: printGcArguments({ debug, localConfig, uuid: pod.uuid }, interfaceVersion(annotations)),
    env,
    stdout: 'ignore',
  });
}

function isMounted(path: string): boolean {
  return mountsBelow(readMountInfo(), path).some(({ mountPoint }) => mountPoint === path);
}

function statusTree(pod: PodDir): string {
  try {
    return usesOverlay(pod) ? stage1StatusRoot(pod, stage1TreeId(pod)) : stage1Rootfs(pod);
  } catch {
    return stage1Rootfs(pod);
  }
}
