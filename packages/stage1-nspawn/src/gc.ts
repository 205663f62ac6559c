// The gc entry point: ends what is left of a dead pod and removes what it has on the host beside its directory (contract
// 1.4, 2.14, 2.27, 5.8). Working directory P.

import { readFileSync, unlinkSync } from 'node:fs';
import path from 'node:path';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR } from '@rkt/pod-layout/stage1-paths';
import { parseGcArguments } from '@rkt/stage1-base/arguments';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';
import { findPodCgroup, killPod, removePodCgroup } from '@rkt/stage1-base/pod-cgroup';
import { leaveNetworks } from '@rkt/stage1-systemd/host/leave-networks';

/** Kills and removes. @throws RktError when something of the pod does not go away */
export async function gc({ args, cwd, env }: Pick<EntryPointCall, 'args' | 'cwd' | 'env'>): Promise<number> {
  const options = parseGcArguments(args);
  const pod = podDir(cwd);
  const cgroup = findPodCgroup(pod);
  // A cgroup we are in ourselves is systemd's to clean (contract 2.27).
  if (cgroup !== undefined && !isOwnCgroup(cgroup.subcgroup)) {
    killPod(cgroup);
    removePodCgroup(cgroup);
  }
  removeJournalLink(options.uuid);
  await leaveNetworks(pod, options, env);
  return 0;
}

function isOwnCgroup(subcgroup: string): boolean {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  const own =
    lines.find((line) => line.includes(':name=systemd:')) ?? lines.find((line) => line.startsWith('0::'));
  const cgroup = (own ?? '').split(':').slice(2).join(':').replace(/^\//, '');
  return cgroup !== '' && cgroup.startsWith(subcgroup.replace(/^\//, ''));
}

// Made by nspawn with --link-journal.
function removeJournalLink(uuid: string): void {
  try {
    unlinkSync(path.join(JOURNAL_DIR, uuid.replaceAll('-', '')));
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTDIR')) throw error;
  }
}
