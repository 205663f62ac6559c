// Joins the namespaces of a process of the pod. Runs in the entry points enter and app/*, which start on the host.

import {
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';

/** Namespaces of the pod; the mount namespace, which may be an app's own, comes after them. */
const POD_NAMESPACES = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID;

/**
 * Joins all namespaces but that of users, and without `cgroups` that of cgroups. Afterwards synchronous calls only:
 * threads that are there stay outside, new ones must not be made, and only children are in the PID namespace.
 * @throws KernelError
 */
export function joinNamespaces(
  kernel: Kernel,
  pidfd: number,
  { cgroups = true }: { readonly cgroups?: boolean } = {},
): void {
  kernel.setns(pidfd, cgroups ? POD_NAMESPACES | CLONE_NEWCGROUP : POD_NAMESPACES);
  // Threads share their root and working directory, which setns refuses to change for all of them.
  kernel.unshare(CLONE_FS);
  kernel.setns(pidfd, CLONE_NEWNS);
}
