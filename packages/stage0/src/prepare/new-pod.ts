// What run and prepare share: find the images, make the pod directory, fill it (contract stage0 8.3, order of work).
// Runs in stage0.

import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { createLogger, type Logger, writeStderr } from '@rkt/diagnostics/logger';
import { type FileLock, lockFile } from '@rkt/linux/file-lock';
import { type DataDir, LOCKS_DIR_MODE, locksDir, prepareLockFile } from '@rkt/pod-layout/data-dir';
import { newUuid } from '@rkt/spec/uuid';

import type { AppRequest, Invocation, PodDescription, PrepareFlags } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { loadConfig } from '../config/load.ts';
import { fetchContext, type FetchContext, findImage } from '../fetch/finder.ts';
import { mappedTreesUsable, overlayUsable } from '../launch/overlay-use.ts';
import { rktGroupId } from '../launch/rkt-group.ts';
import { duringAsync } from '../pod/context.ts';
import { createPod, type LockedPod } from '../pod/pod.ts';
import type { SecondThread } from '../treestore/second-thread.ts';
import { pullPolicy } from './checks.ts';
import { preparePod } from './prepare.ts';
import { findStage1Image } from './stage1-image.ts';

/** What the commands that make pods want beyond their flags. */
export interface NewPodOptions {
  /** Gets the UUID as soon as the directory exists. */
  readonly announce?: (uuid: string) => void;
}

/**
 * A prepared pod, locked by this process, still in `prepare`. On failure the lock is gone and the pod stays behind as an
 * aborted prepare, which gc removes.
 */
export async function newPod(
  { global, flags, apps, env }: Invocation<PrepareFlags & PodDescription>,
  logger: Logger,
  { announce }: NewPodOptions = {},
): Promise<LockedPod> {
  using threads = new DisposableStack();
  // Where there is something to copy for sure, it comes to be while images are looked up.
  const early = flags.noOverlay ? threads.use(await secondThread()) : undefined;
  const config = loadConfig(global);
  const data = await resolveDataDir(global, config);
  const fetch = fetchContext({ data, config, global, env, limits: flags.limits });
  const executableDir = path.dirname(process.execPath);
  const stage1 = await findStage1Image(flags.stage1, { fetch, config, executableDir });
  const found = await findApps(apps, flags, fetch);
  if (global.debug && rktGroupId() === undefined) {
    logger.info('group "rkt" not found, will use default gid when rendering images');
  }
  const overlay =
    !flags.noOverlay &&
    overlayUsable(data) &&
    (!flags.privateUsers || mappedTreesUsable(data, (line) => logger.debug(line)));
  const pod = createPod(data, newUuid(randomBytes()));
  announce?.(pod.uuid);
  const shared = holdPrepareLock(data);
  try {
    const context = {
      data,
      store: fetch.store,
      treeStore: fetch.treeStore,
      second: overlay ? undefined : (early ?? threads.use(await secondThread())),
      logger: createLogger({
        prefix: 'stage0',
        debug: global.debug,
        write: (text) => {
          if (!flags.quiet) writeStderr(text);
        },
      }),
    };
    await duringAsync('error setting up stage0', () =>
      preparePod(pod.dir, { flags, apps: found, stage1, overlay, env }, context),
    );
  } catch (error) {
    pod.lock.release();
    throw error;
  } finally {
    shared.release();
    fetch.store.close();
  }
  return pod;
}

// Where there is a processor for it.
async function secondThread(): Promise<SecondThread | undefined> {
  if (availableParallelism() === 1) return undefined;
  const { SecondThread: Thread } = await import('../treestore/second-thread.ts');
  return new Thread();
}

// The kernel's own source: loading node's crypto for sixteen bytes costs 6 ms.
function randomBytes(): Uint8Array {
  const bytes = new Uint8Array(UUID_BYTES);
  const fd = openSync('/dev/urandom', 'r');
  try {
    readSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

const UUID_BYTES = 16;

async function findApps(
  apps: readonly AppRequest[],
  flags: PrepareFlags,
  fetch: FetchContext,
): Promise<{ request: AppRequest; key: string }[]> {
  const found = [];
  for (const request of apps) {
    const key = await findImage(fetch, request.image, {
      pullPolicy: pullPolicy(flags),
      dependencies: true,
      ...(request.signature !== undefined && { signature: request.signature }),
    });
    found.push({ request, key });
  }
  return found;
}

/** Shared with everybody who prepares; image gc takes it exclusively, so that no tree vanishes under us. */
export function holdPrepareLock(data: DataDir): FileLock {
  mkdirSync(locksDir(data), { recursive: true, mode: LOCKS_DIR_MODE });
  const lock = lockFile(prepareLockFile(data), { exclusive: false, wait: true, create: true, mode: 0o660 });
  if (lock === undefined) throw new Error('unreachable: waited for a lock and did not get it');
  return lock;
}
