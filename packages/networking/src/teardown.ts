// Leaves a pod's networks and removes everything they had on the host: rules, addresses, devices, the namespace (contract
// stage1 5.8). Can be repeated, and starts from wherever the set-up or an earlier teardown stopped. Runs in the gc entry
// point and after a set-up that failed, on the host.

import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { type FileLock, tryLockExclusive } from '@rkt/linux/file-lock';
import type { Kernel } from '@rkt/linux/kernel';
import { netDir, type PodDir } from '@rkt/pod-layout/pod-paths';

import { type Attachment, readAttachments, removeAttachment } from './attachment.ts';
import { masqueradeChain, removeChains } from './iptables.ts';
import { namespaceExists, recordedNamespace, removeNamespace } from './netns.ts';
import { leaveNetwork } from './network-call.ts';
import { filterTools } from './packet-filter.ts';
import { pluginPath } from './plugin.ts';
import { unforwardPorts } from './port-forward.ts';

/** Whose networks, and who asks. */
export interface TeardownRequest {
  readonly kernel: Kernel;
  readonly pod: PodDir;
  readonly uuid: string;
  readonly localConfig: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Speaks as `networking`. */
  readonly logger: Logger;
  /** The caller's own lock of the pod's networks; without one it is taken here. */
  readonly lockFd?: number;
}

/** How long a plugin that outlives its rkt is waited for. */
const PATIENCE_MS = 60_000;
const POLL_MS = 20;

/** Leaves all networks. What fails is told, and the rest goes on. */
export async function teardownNetworks(request: TeardownRequest): Promise<void> {
  const { kernel, pod, uuid, env, logger } = request;
  const namespace = recordedNamespace(pod);
  if (namespace === undefined) return;
  using lock = request.lockFd === undefined ? await waitForPlugins(pod, logger) : undefined;
  const lockFd = request.lockFd ?? lock?.fd;
  const attempt = async (what: string, step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      logger.error(what, error);
    }
  };
  await attempt('error removing forwarded ports', () => unforwardPorts(pod, uuid, env));
  const exists = namespaceExists(kernel, namespace);
  for (const { base, attachment } of readAttachments(pod).toReversed()) {
    await attempt(`error deleting ${quote(attachment.netName)}`, () =>
      leave(request, attachment, { netns: exists ? namespace : '', lockFd }),
    );
    removeAttachment(pod, base);
  }
  removeNamespace(kernel, namespace);
}

async function leave(
  { pod, uuid, localConfig, env, logger }: TeardownRequest,
  attachment: Attachment,
  { netns, lockFd }: { readonly netns: string; readonly lockFd: number | undefined },
): Promise<void> {
  const tools = filterTools(attachment.filter, pod, env);
  const context = {
    uuid,
    env: tools.env,
    pluginPath: pluginPath(localConfig),
    ...(lockFd === undefined ? {} : { lockFd }),
  };
  await leaveNetwork(attachment, netns, context, (type) =>
    logger.debug(`teardown - executing net-plugin ${type}`),
  );
  // Plugins look for their address in the namespace before they stop masquerading it.
  if (netns === '') await removeChains(tools, 'nat', [masqueradeChain(attachment.netName, uuid)]);
}

/** Waits until no plugin of the pod runs any more. */
async function waitForPlugins(pod: PodDir, logger: Logger): Promise<FileLock | undefined> {
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    try {
      const lock = tryLockExclusive(netDir(pod));
      if (lock !== undefined) return lock;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
    await sleep(POLL_MS);
  }
  logger.info(`a network plugin of pod ${quote(pod)} does not end: going on without it`);
  return undefined;
}
