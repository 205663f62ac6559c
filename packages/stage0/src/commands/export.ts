// `rkt export` (contract stage0 8.18). Runs in stage0.

import { lstatSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';

import { writeStderr } from '@rkt/diagnostics/logger';
import { UMOUNT_NOFOLLOW } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { openKernel } from '@rkt/linux/libc';
import { mountsBelow, readMountInfo } from '@rkt/linux/mount-info';
import { scratchDir, treeDir, treeRootfs } from '@rkt/pod-layout/data-dir';
import { overlayUpper, overlayWork, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { appRootfs } from '@rkt/pod-layout/stage1-paths';

import type { ExportFlags, Invocation } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { writeAci } from '../export/write-aci.ts';
import { appTreeId, mountLayers, podUsers } from '../launch/pod-mounts.ts';
import { mountLabel } from '../launch/selinux.ts';
import { chooseApp } from '../pod/choose-app.ts';
import { during } from '../pod/context.ts';
import { PodError } from '../pod/errors.ts';
import { resolvePod } from '../pod/find.ts';
import type { PodSnapshot } from '../pod/pod.ts';
import { summarizeManifest } from '../pod/summary.ts';
import { readAppImageManifestText, usesOverlay } from '../pod/record.ts';

const EXTENSION = '.aci';

export async function run({ global, flags, args }: Invocation<ExportFlags>): Promise<number> {
  const [argument = '', file = ''] = args;
  if (path.extname(file) !== EXTENSION) {
    throw new PodError('bad-flag', `extension must be ${EXTENSION} (given ${file})`);
  }
  const data = await resolveDataDir(global);
  const pod = during('problem retrieving pod', () => resolvePod(data, argument));
  if (pod.phase !== 'exited' && pod.phase !== 'exited garbage') {
    throw new PodError('wrong-state', 'pod is not exited. Only exited pods can be exported');
  }
  const names = during('cannot read pod manifest', () => summarizeManifest(pod.dir)).apps.map(
    ({ name }) => name,
  );
  const app = during('unable to find app', () => chooseApp(names, flags.app, 'export', writeStderr));
  refuseExisting(file, flags.overwrite);
  await withRootfs(pod, app, async (kernel, rootfs) => {
    const source = {
      rootfs,
      manifest: readAppImageManifestText(pod.dir, app),
      privateUsers: podUsers(pod.dir),
    };
    await writeBeside(file, (partial) => writeAci(kernel, source, partial));
  });
  return 0;
}

function refuseExisting(file: string, overwrite: boolean): void {
  if (!overwrite && lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    throw new PodError('exists', 'target file exists (try --overwrite)');
  }
}

// The target appears whole or not at all.
async function writeBeside(file: string, write: (partial: string) => Promise<void>): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  try {
    await write(partial);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

async function withRootfs(
  pod: PodSnapshot,
  app: string,
  work: (kernel: Kernel, rootfs: string) => Promise<void>,
): Promise<void> {
  const kernel = openKernel();
  if (!usesOverlay(pod.dir)) {
    const rootfs = appRootfs(stage1Rootfs(pod.dir), app);
    if (mountsBelow(readMountInfo(), rootfs).length > 0) {
      throw new PodError(
        'busy',
        'pod has remaining mountpoints. Only pods using overlayfs or with no mountpoints can be exported',
      );
    }
    await work(kernel, rootfs);
    return;
  }
  // The pod's own mount may be gone, as after a reboot: mount the same three directories elsewhere.
  mkdirSync(scratchDir(pod.data), { recursive: true, mode: 0o750 });
  const target = mkdtempSync(path.join(scratchDir(pod.data), `rkt-export-${pod.uuid}-`));
  const id = appTreeId(pod.dir, app);
  const lower = treeRootfs(treeDir(pod.data, id));
  try {
    mountLayers(
      kernel,
      { pod: pod.dir, treeId: id, users: podUsers(pod.dir), label: mountLabel(pod.dir) },
      { lower, upper: overlayUpper(pod.dir, id, app), work: overlayWork(pod.dir, id, app), target },
    );
    try {
      await work(kernel, target);
    } finally {
      kernel.umount2(target, UMOUNT_NOFOLLOW);
    }
  } finally {
    rmdirSync(target);
  }
}
