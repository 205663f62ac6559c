// The network namespace of a pod, kept by a bind mount, so that it outlives its processes until gc (contract stage1 5.4,
// 5.8). Runs in the run and gc entry points, on the host, on the main thread: a namespace belongs to a thread.

import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { CLONE_NEWNET, MNT_DETACH, MS_BIND, NSFS_MAGIC } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { NETNS_DIR } from '@rkt/pod-layout/net-paths';
import { netnsFile, type PodDir } from '@rkt/pod-layout/pod-paths';

const OWN_NAMESPACE = '/proc/thread-self/ns/net';
const RECORD_MODE = 0o644;
const NAME = /^\/var\/run\/netns\/cni-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A namespace with a name. */
export interface NetworkNamespace {
  readonly path: string;
  /** Open on the namespace; close-on-exec. */
  readonly fd: number;
}

/**
 * Makes a namespace and stays in the one it came from. Its path is on record before there is anything.
 * @throws KernelError
 */
export function createNamespace(kernel: Kernel, pod: PodDir): NetworkNamespace {
  const path = `${NETNS_DIR}/${namespaceName()}`;
  writeFileSync(netnsFile(pod), path, { mode: RECORD_MODE });
  mkdirSync(NETNS_DIR, { recursive: true, mode: 0o755 });
  writeFileSync(path, '', { mode: 0o444, flag: 'wx' });
  const before = openSync(OWN_NAMESPACE, 'r');
  try {
    kernel.unshare(CLONE_NEWNET);
    try {
      kernel.mount(OWN_NAMESPACE, path, null, MS_BIND, null);
      return { path, fd: openSync(OWN_NAMESPACE, 'r') };
    } finally {
      kernel.setns(before, CLONE_NEWNET);
    }
  } finally {
    closeSync(before);
  }
}

function namespaceName(): string {
  const hex = randomBytes(16).toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return `cni-${parts.join('-')}`;
}

/** Path of the pod's namespace as it was recorded; undefined when the pod never had one of its own. */
export function recordedNamespace(pod: PodDir): string | undefined {
  try {
    const path = readFileSync(netnsFile(pod), 'utf8').trim();
    return NAME.test(path) ? path : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Whether there is a namespace at `path`: after a reboot there is not even a file. */
export function namespaceExists(kernel: Kernel, path: string): boolean {
  try {
    return kernel.statFs(path).type === NSFS_MAGIC;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * Takes the name away, and with it the namespace when no process is left in it. Removing the file also detaches what
 * is mounted there in the mount namespaces of other pods, which got a copy when they started.
 */
export function removeNamespace(kernel: Kernel, path: string): void {
  try {
    kernel.umount2(path, MNT_DETACH);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EINVAL')) throw error;
  }
  rmSync(path, { force: true });
}
