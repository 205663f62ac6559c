// What a pod owes to a network: written into the pod directory before the first plugin is called, read by gc, also after
// a crash or a reboot (contract stage1 1.7, 5.8). Runs in the run and gc entry points, on the host.

import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { attachedConfs, netAttachmentFile, netConfCopy } from '@rkt/pod-layout/net-paths';
import { netDir, type PodDir } from '@rkt/pod-layout/pod-paths';

import type { FilterName } from './packet-filter.ts';

const MODE = 0o644;

/** One plugin that was, or was about to be, called with ADD. */
export interface AttachedPlugin {
  readonly type: string;
  /** As it was found: may be relative to the pod directory. */
  readonly path: string;
  /** Its configuration, as it gets it but for results of calls. */
  readonly stdin: string;
}

/** One network of a pod. */
export interface Attachment {
  readonly netName: string;
  readonly ifName: string;
  readonly args: string;
  readonly cniVersion: string;
  /** Whose tools the plugins called. */
  readonly filter: FilterName;
  readonly plugins: readonly AttachedPlugin[];
  readonly checkable: boolean;
  /** What the last plugin that was done with ADD answered; absent when none was. */
  readonly result?: string;
}

/** Replaces the record of a network; a crash leaves the old one or the new one. */
export function writeAttachment(pod: PodDir, base: string, attachment: Attachment): void {
  const file = netAttachmentFile(pod, base);
  writeFileSync(`${file}.new`, JSON.stringify(attachment), { mode: MODE });
  renameSync(`${file}.new`, file);
}

/** All records of a pod, in the order of set-up. */
export function readAttachments(pod: PodDir): { readonly base: string; readonly attachment: Attachment }[] {
  return attachedConfs(namesIn(netDir(pod))).map((base) => ({
    base,
    attachment: JSON.parse(readFileSync(netAttachmentFile(pod, base), 'utf8')) as Attachment,
  }));
}

/** Forgets a network that has been left. */
export function removeAttachment(pod: PodDir, base: string): void {
  rmSync(netAttachmentFile(pod, base), { force: true });
  rmSync(netConfCopy(pod, base), { force: true });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
